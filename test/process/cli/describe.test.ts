/** What workers announce of their services, as commands and HTTP show it, and as a request is checked against it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { z } from 'zod';

import { service } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { closePeers, RawPeer } from '../../interop/support/raw-peer.js';
import { killAll, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';
import { PATIENCE_MS } from '../../support/patience.js';
import { silent } from '../../support/silent.js';

let daemon: Daemon;
let at: string[];
const workers: Worker[] = [];

beforeAll(async () => {
  daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
  at = ['--endpoint', daemon.endpoint];
  await offer('1.0', { amount: z.number() });
  await offer('2.0', { amount: z.number(), currency: z.enum(['EUR', 'USD']) });
});

afterEach(() => killAll(daemon));

afterAll(async () => {
  closePeers();
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await removeDaemons();
});

async function offer(version: string, fields: z.ZodRawShape): Promise<void> {
  const schemas = { description: 'Takes money', input: z.object(fields), output: z.string() };
  const contract = service('pay', schemas, { version });
  const services = { pay: () => `paid by ${version}` };
  const worker = new Worker({
    endpoints: daemon.endpoint,
    contract,
    services,
    name: `w${version}`,
  });
  workers.push(worker);
  await silent(worker).ready;
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

/** A worker that announces what it likes. */
async function announce(name: string, contract: string): Promise<void> {
  const peer = new RawPeer(daemon.endpoint);
  const ascii = contract.replaceAll(
    /[^ -~]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  await peer.send('MDPW02', '\x01', name, '1', '{}', ascii);
  // What it asks after READY is answered after it.
  await peer.untilMmi('mmi.broker', () => true);
}

describe('majordomo services describe', () => {
  it('shows two contracts side by side, and marks what differs', async () => {
    const { status, stdout } = await run(['services', 'describe', 'pay', ...at]);
    expect(status).toBe(0);
    const lines = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toEqual([
      ['pay: 2 contracts, which differ'],
      ['contract 1: 1 worker (w1.0)'],
      ['contract 2: 1 worker (w2.0)'],
      [''],
      ['PART', 'CONTRACT 1', 'CONTRACT 2'],
      ['*', 'version', '1.0', '2.0'],
      ['description', 'Takes money', 'Takes money'],
      ['input', 'object', 'object'],
      ['input.amount', 'number, required', 'number, required'],
      ['*', 'input.currency', '-', 'string, "EUR" | "USD", required'],
      ['output', 'string', 'string'],
      [''],
    ]);
    const counted = await run(['services', '--json', ...at]);
    expect(JSON.parse(counted.stdout)).toMatchObject([{ service: 'pay', contracts: 2 }]);
  });

  it('says the same as JSON, over MMI and HTTP', async () => {
    const mmi = await run(['services', 'describe', 'pay', '--json', ...at]);
    const http = await run(['services', 'describe', 'pay', '--json', '--admin', httpOf(daemon)]);
    const { json } = await ask(`${httpOf(daemon)}/api/v1/services/pay/contract`);
    expect(JSON.parse(mmi.stdout)).toEqual(json);
    expect(JSON.parse(http.stdout)).toEqual(json);
    expect(json).toMatchObject({
      service: 'pay',
      contracts: [{ workers: 1, names: ['w1.0'], contract: { version: '1.0' } }, {}],
    });
  });

  it('fails where no worker announced one', async () => {
    await announce('plain', '{"version":"1"}');
    for (const way of [at, ['--admin', httpOf(daemon)]]) {
      expect(await run(['services', 'describe', 'nobody', ...way])).toMatchObject({
        status: 1,
        stdout: '',
        stderr: 'majordomo: no worker of this service announced a contract\n',
      });
    }
    expect((await ask(`${httpOf(daemon)}/api/v1/services/nobody/contract`)).status).toBe(404);
  });

  it('is safe on a terminal, whatever a worker announces', async () => {
    const evil = {
      description: '\x1b[31m<b>\u202e',
      properties: { '\x9b2J\n': { title: '\x07' } },
    };
    await announce('evil', JSON.stringify({ description: '\x1b]0;x\x07', input: evil }));
    for (const more of [[], ['--json']]) {
      const { status, stdout } = await run(['services', 'describe', 'evil', ...more, ...at]);
      expect(status).toBe(0);
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  });
});

describe('majordomo services export', () => {
  const exported = (...more: string[]): ReturnType<typeof run> =>
    run(['services', 'export', '--asyncapi', ...more]);

  it('writes the same document over MMI and HTTP, and warns of contracts that differ', async () => {
    await announce('evil%\x1b', '{"description":"\x9b2J","input":{"$ref":"file:///etc/passwd"}}');
    const mmi = await exported(...at);
    const http = await exported('--admin', httpOf(daemon), '-o', 'json');
    for (const { status, stdout, stderr } of [mmi, http]) {
      expect(status).toBe(0);
      expect(stderr).toContain('warning: pay has 2 different contracts: all are written\n');
      expect(stderr).toContain('warning: evil%25%1B: what is not JSON Schema');
      expect(stdout + stderr).not.toMatch(
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|"\$ref":"file/,
      );
    }
    const document: unknown = JSON.parse(mmi.stdout);
    expect(JSON.parse(http.stdout)).toEqual(document);
    expect(document).toMatchObject({
      asyncapi: '3.0.0',
      servers: { broker: { host: daemon.endpoint.replace('tcp://', ''), protocol: 'mdp' } },
      operations: { pay: { messages: [{}, {}], reply: { messages: [{}, {}] } } },
      channels: { evil_25_1B: { address: 'evil%25%1B' } },
    });
  });

  it('writes a new file, and leaves one that exists as it is', async () => {
    const file = join(temporaryDirectory(), 'services.json');
    expect(await exported(file, ...at)).toMatchObject({ status: 0, stdout: '' });
    const written = readFileSync(file, 'utf8');
    expect(JSON.parse(written)).toHaveProperty('channels.pay');
    const again = await exported(file, ...at);
    expect(again).toMatchObject({ status: 74, stdout: '' });
    expect(again.stderr).toContain(`${file}: exists and is not overwritten`);
    expect(readFileSync(file, 'utf8')).toBe(written);
    for (const kinds of [[], ['--asyncapi', '--python']]) {
      const none = await run(['services', 'export', ...kinds, ...at]);
      expect(none).toMatchObject({ status: 64, stdout: '' });
    }
  });

  it('writes the types of the first of different contracts', async () => {
    const { stdout, stderr } = await run(['services', 'export', '--typescript', ...at]);
    expect(stderr).toContain('pay has 2 different contracts: the types are those of the first\n');
    expect(stdout).toContain(
      'readonly "pay": { readonly input: PayInput; readonly output: string }',
    );
    const { stdout: python } = await run(['services', 'export', '--python', '-o', 'json', ...at]);
    expect(JSON.parse(python)).toContain('PAY: TypedService[PayInput, str]');
  });
});

describe('majordomo request', () => {
  const request = (body: string, ...more: string[]): ReturnType<typeof run> =>
    run(['request', 'pay', body, ...more, ...at]);

  it('sends what suits one of the contracts, and says of anything else where it is wrong', async () => {
    // The other worker would refuse it, and which of them gets it first is no matter of contracts: it is stored.
    expect(await request('{"amount":1}', '--durable')).toMatchObject({ status: 0, stderr: '' });
    const wrong = await request('{"amount":"x","currency":"EUR"}');
    expect(wrong).toMatchObject({ status: 64, stdout: '' });
    expect(wrong.stderr).toContain(
      'nothing was sent: the body does not suit the contract of pay, version 1.0:\n  /amount: ',
    );
    expect(wrong.stderr).toContain('version 2.0');
    expect(wrong.stderr).toContain('--no-check');
    // The workers check, too.
    expect((await request('{"amount":"x"}', '--no-check')).status).toBe(2);
    expect((await request('no JSON')).status).toBe(2);
    expect((await request('{}', '--durable')).status).toBe(64);
  });

  it('warns of what only the worker can judge, and sends: it takes what its library reads otherwise', async () => {
    const name = z
      .string()
      .trim()
      .max(5)
      .regex(/^[a-z]+$/i);
    const input = z.object({
      name,
      times: z.coerce.number(),
      kind: z.preprocess(lower, z.enum(['a'])),
    });
    const contract = service('lax', { input, output: z.string() });
    const services = { lax: () => 'taken' };
    const worker = new Worker({ endpoints: daemon.endpoint, contract, services });
    workers.push(worker);
    await silent(worker).ready;
    for (const body of [
      '{"name":"ANNA","times":1,"kind":"a"}',
      '{"name":"  anna  ","times":1,"kind":"a"}',
      '{"name":"anna","times":"5","kind":"a"}',
      '{"name":"anna","times":1,"kind":"A"}',
    ]) {
      const sent = await run(['request', 'lax', body, ...at]);
      expect([body, sent.status, sent.stdout]).toEqual([body, 0, '"taken"\n']);
      expect(sent.stderr).toMatch(
        /^(majordomo: warning: the body does not suit .*only its worker can judge.*)?$/s,
      );
      if (body.includes('ANNA')) expect(sent.stderr).toContain('/name: ');
    }
    expect((await run(['request', 'lax', '{"name":"ANNA"}', ...at])).status).toBe(64);
    expect((await run(['request', 'lax', '["ANNA"]', ...at])).status).toBe(64);
  });

  it(
    'warns of a schema that cannot be used, and sends',
    async () => {
      const schemas = {
        slow: { pattern: '^(a+)+$' },
        remote: { $ref: 'http://127.0.0.1:1/schema.json' },
        endless: { allOf: [{ $ref: '#' }] },
        broken: { pattern: '(' },
      };
      for (const [name, input] of Object.entries(schemas)) {
        await announce(name, JSON.stringify({ input }));
      }
      // Nobody answers, so each takes all its time; the question for the contract has as long.
      const options = ['--timeout-ms', '4000'];
      const body = JSON.stringify(`${'a'.repeat(60)}!`);
      const asked = Object.keys(schemas).map(async (name) => {
        const { status, stderr } = await run(['request', name, body, ...options, ...at]);
        expect([name, status, stderr]).toEqual([name, 75, expect.stringContaining('warning: ')]);
        expect(stderr).toContain('cannot be used');
      });
      await Promise.all(asked);
    },
    PATIENCE_MS,
  );

  it('gives all contracts of a service together one second, in equal shares', async () => {
    const input = { pattern: '^(a+)+$' };
    for (let version = 1; version <= 8; version++) {
      await announce('eight', JSON.stringify({ input, version: String(version) }));
    }
    const options = ['--timeout-ms', '1000'];
    const sent = await run(['request', 'eight', `"${'a'.repeat(60)}!"`, ...options, ...at]);
    expect(sent).toMatchObject({ status: 75, stderr: expect.stringContaining('after 125ms') });
  });

  it('understands a schema in the dialect of its $schema, and takes format as a remark', async () => {
    const old = { $schema: 'http://json-schema.org/draft-04/schema#', maximum: 5 };
    const tuple = { items: [{ type: 'string' }], additionalItems: false };
    const http = 'http://json-schema.org';
    const https = 'https://json-schema.org';
    const cases: readonly (readonly [object, string, number, string])[] = [
      // 75: it was sent, and nobody answered.
      [{ ...old, exclusiveMaximum: true }, '3', 75, ''],
      [{ ...old, exclusiveMaximum: true }, '5', 64, ''],
      [{ $schema: `${http}/draft-07/schema#`, ...tuple }, '["x"]', 75, ''],
      [{ $schema: `${http}/draft-07/schema`, ...tuple }, '["x",1]', 64, ''],
      [{ $schema: `${https}/draft/2019-09/schema`, ...tuple }, '["x",1]', 64, ''],
      [{ $schema: `${https}/draft/2020-12/schema`, exclusiveMaximum: 5 }, '5', 64, ''],
      [{ exclusiveMaximum: 5 }, '3', 75, ''],
      [{ $schema: 'urn:mine', type: 'string' }, '3', 75, 'of another dialect'],
      [{ $schema: 7, type: 'string' }, '3', 75, 'of another dialect'],
      [{ format: 'email' }, '"nobody"', 75, ''],
      [{ not: { format: 'email' } }, '"nobody"', 64, ''],
      [{ format: 'hasOwnProperty' }, '"nobody"', 75, ''],
    ];
    for (const [index, [input, body, expected, warning]] of cases.entries()) {
      await announce(`dialect ${index}`, JSON.stringify({ input }));
      // What is sent waits until its time is over; what is refused, or warned of, needs the contract first.
      const timeoutMs = expected === 64 ? 60_000 : warning === '' ? 200 : 2000;
      const patience = ['--timeout-ms', String(timeoutMs)];
      const sent = await run(['request', `dialect ${index}`, body, ...patience, ...at]);
      expect([input, body, sent.status]).toEqual([input, body, expected]);
      expect(sent.stderr.includes('warning: ')).toBe(warning !== '');
      expect(sent.stderr).toContain(warning);
    }
  });
});
