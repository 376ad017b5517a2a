import { inspect } from 'node:util';

import {
  Client,
  type ClientOptions,
  codeOf,
  connect,
  FreelanceClient,
} from '../../../src/sdk/client.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { FakeNet } from './fake-dial.js';

const VARIABLE = 'MAJORDOMO_URL';
const given = process.env[VARIABLE];

afterEach(() => {
  if (given === undefined) Reflect.deleteProperty(process.env, VARIABLE);
  else process.env[VARIABLE] = given;
});

/** The code and text of what a function throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return 'nothing';
}

/** The endpoint that a client dials first. */
async function first(endpoints: ClientOptions['endpoints']): Promise<string> {
  const net = new FakeNet();
  const client = new Client({ endpoints, dial: net.dial });
  await client.close();
  return net.link.endpoint;
}

describe('endpoints', () => {
  it('are text, several in one text, or a list', async () => {
    expect(await first('tcp://a:1')).toBe('tcp://a:1');
    expect(await first(' tcp://a:1, tcp://b:2')).toBe('tcp://a:1');
    expect(await first(['tcp://c:1', 'tcp://b:2'])).toBe('tcp://c:1');
    expect(await first(['ipc:///tmp/a, b'])).toBe('ipc:///tmp/a, b');
  });

  it('come from MAJORDOMO_URL if none are given, else the option decides', async () => {
    process.env[VARIABLE] = 'tcp://env:1,tcp://env:2';
    expect(await first(undefined)).toBe('tcp://env:1');
    expect(await first('tcp://a:1')).toBe('tcp://a:1');
    const net = new FakeNet();
    await connect(undefined, { dial: net.dial }).close();
    expect(net.link.endpoint).toBe('tcp://env:1');
  });

  it('with the strategy freelance, each is named once: a second one would be asked twice', async () => {
    const endpoints = 'tcp://a:1,tcp://b:1,tcp://a:1';
    const { dial } = new FakeNet();
    const error = {
      code: 'ERR_MDP_OPTION',
      message: 'endpoints must be different brokers or servers: tcp://a:1 is named twice',
      details: { option: 'endpoints' },
    };
    expect(thrown(() => new Client({ endpoints, dial, strategy: 'freelance' }))).toMatchObject(
      error,
    );
    expect(thrown(() => new FreelanceClient({ endpoints, dial }))).toMatchObject(error);
    await new Client({ endpoints, dial }).close();
  });

  it.each([undefined, '', ' , '])('have to be given: MAJORDOMO_URL is %p', (value) => {
    if (value === undefined) Reflect.deleteProperty(process.env, VARIABLE);
    else process.env[VARIABLE] = value;
    const error = {
      code: 'ERR_MDP_OPTION',
      message: 'endpoints must be given, or MAJORDOMO_URL set, for example tcp://127.0.0.1:5555',
      details: { option: 'endpoints' },
    };
    expect(thrown(() => new Client())).toMatchObject(error);
    expect(thrown(() => connect())).toMatchObject(error);
    expect(thrown(() => new Worker({ service: 'echo' }, () => 'x'))).toMatchObject(error);
  });

  it.each(['me:secret@a:5555', 'http://me:secret@a:5580', 'tcp://me:secret@a:5555'])(
    'that cannot be dialled are named without their password: %s',
    (endpoint) => {
      process.env[VARIABLE] = endpoint;
      for (const call of [(): unknown => connect(endpoint), (): unknown => connect()]) {
        const error = thrown(call);
        expect(error).toMatchObject({ code: 'ERR_MDP_ENDPOINT' });
        expect(inspect(error)).not.toContain('secret');
      }
    },
  );

  it('that cannot be dialled: the error names them, and where they come from', () => {
    process.env[VARIABLE] = 'http://localhost:5580';
    expect(thrown(() => connect())).toMatchObject({
      code: 'ERR_MDP_ENDPOINT',
      message:
        "MAJORDOMO_URL: http://localhost:5580 is for commands: a program needs the broker's endpoint, tcp://HOST:PORT",
      details: { option: 'endpoints', endpoint: 'http://localhost:5580' },
    });
    expect(thrown(() => connect('localhost:5555'))).toMatchObject({
      code: 'ERR_MDP_ENDPOINT',
      details: { endpoint: 'localhost:5555' },
    });
  });

  const wrong: unknown[] = ['', [], [1], 1, null, { endpoints: {} }, { endpoints: true }];
  it.each(wrong)('%j: ERR_MDP_OPTION', (options) => {
    Reflect.deleteProperty(process.env, VARIABLE);
    expect(codeOf(thrown(() => new Client(options as ClientOptions)))).toBe('ERR_MDP_OPTION');
  });

  it('of a worker are the same', async () => {
    const net = new FakeNet();
    const options: WorkerOptions = { endpoints: 'tcp://a:1,tcp://b:2', service: 'echo' };
    const worker = new Worker({ ...options, dial: net.dial }, () => 'x');
    void worker.run();
    expect(net.links.map(({ endpoint }) => endpoint)).toEqual(['tcp://a:1', 'tcp://b:2']);
    await worker.close();
  });
});

describe('connect', () => {
  it('takes options beside the endpoints, and rejects wrong ones by name', async () => {
    const net = new FakeNet();
    const client = connect('tcp://a:1', { dial: net.dial, maxOutstanding: 1 });
    const request = client.request('echo', 'x');
    await expect(client.request('echo', 'y')).rejects.toMatchObject({ code: 'ERR_MDP_LIMIT' });
    request.catch(() => undefined);
    const wrong: [unknown, string][] = [
      [null, 'options'],
      ['fast', 'options'],
      [{ endpoints: 'tcp://b:1' }, 'endpoints'],
      [{ timeout: 1 }, 'timeout'],
    ];
    for (const [options, option] of wrong) {
      const error = thrown(() => connect('tcp://a:1', options as ClientOptions));
      expect(error).toMatchObject({ code: 'ERR_MDP_OPTION', details: { option } });
    }
    await client.close();
  });
});
