/** A worker whose broker leaves its output unread: nothing is dropped in silence. */
import { codeOf } from '../../../src/core/errors.js';
import { type Handler, Worker } from '../../../src/sdk/worker.js';
import { FakeNet, shown } from './fake-dial.js';

const MIB = 1_048_576;
const FACTS = JSON.stringify({ extensions: ['fail', 'cancel', 'credit', 'headers'] });
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A registered worker whose handler has one request. */
function workerOf(handler: Handler): FakeNet {
  const net = new FakeNet();
  const options = { endpoints: 'tcp://a:1', service: 's', dial: net.dial, retryBaseMs: 1 };
  const worker = new Worker(options, handler);
  worker.on('failed', () => undefined).on('lost', () => undefined);
  closing.push(() => worker.close({ graceMs: 0 }));
  void worker.run();
  net.link.events.connected();
  net.link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', FACTS);
  net.link.written();
  net.link.says('MDPW02', '\x02', 'token', '', 'x');
  return net;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** What the link got in this turn. */
async function said(net: FakeNet): Promise<string[]> {
  await turn();
  return shown(net.link.written());
}

const PART = 'MDPW02|\\x03|token||';

describe('a stream whose output the broker has not read', () => {
  const caught: unknown[] = [];
  const count = async function* (): AsyncGenerator<string, string> {
    try {
      for (let index = 1; ; index++) yield await Promise.resolve(String(index));
    } catch (error) {
      caught.push(error);
      throw error;
    }
  };

  function streaming(): FakeNet {
    caught.length = 0;
    const net = workerOf(count);
    net.link.waitingBytes = 4 * MIB + 1;
    return net;
  }

  it('waits until there is room, and goes on', async () => {
    const net = streaming();
    expect(await said(net)).toEqual([`${PART}1`]);
    net.link.events.written?.();
    expect(await said(net)).toEqual([]);
    net.link.waitingBytes = 4 * MIB;
    net.link.events.written?.();
    net.link.waitingBytes++;
    expect(await said(net)).toEqual([`${PART}2`]);
  });

  it('ends when its request is cancelled', async () => {
    const net = streaming();
    await turn();
    net.link.says('MDPW02', '\x0a', 'token', '');
    await said(net);
    expect(caught.map(codeOf)).toEqual(['ERR_MDP_ABORTED']);
  });

  it('ends when the connection is lost', async () => {
    const net = streaming();
    await turn();
    net.link.events.disconnected();
    await turn();
    expect(caught.map(codeOf)).toEqual(['ERR_MDP_STREAM_BROKEN']);
  });
});

it('a part for which there is no room fails its request; answers are always sent', async () => {
  const given: unknown[] = [];
  let finish = (): void => undefined;
  const net = workerOf(async (_request, { partial, progress }) => {
    await new Promise<void>((resolve) => (finish = resolve));
    progress('told');
    try {
      partial('lost');
    } catch (error) {
      given.push(codeOf(error));
    }
    return 'end';
  });
  net.link.waitingBytes = 256 * MIB + 1;
  finish();
  const text = `the broker has left more than ${256 * MIB} bytes of output unread`;
  expect(await said(net)).toEqual([`MDPW02|\\x08|token||error|ERR_MDP_LIMIT|${text}`]);
  expect(given).toEqual(['ERR_MDP_LIMIT']);
  net.link.says('MDPW02', '\x02', 'next', '', 'x');
  net.link.waitingBytes = 0;
  finish();
  expect(await said(net)).toEqual([
    'MDPW02|\\x03|next||MDPP01|told',
    'MDPW02|\\x03|next||lost',
    'MDPW02|\\x04|next||end',
  ]);
});
