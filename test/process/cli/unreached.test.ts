import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

import { killAll, run, runEach } from '../../support/child.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf } from '../../support/http.js';

const OTHER_HTTP = '; name another broker with --admin, MAJORDOMO_URL or majordomo context\n';
const OTHER_MDP =
  '; name another broker with --endpoint, MAJORDOMO_ENDPOINT, MAJORDOMO_URL or majordomo context\n';
const BRIEFLY = ['--timeout-ms', '3000'];

let daemon: Daemon;
/** Accepts connections, and says nothing. */
let silent: Server;
let dead: number;

beforeAll(async () => {
  daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0', 'titanic.enabled=false'] });
  silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  [dead = 0] = await freePorts(1);
});

afterAll(async () => {
  silent.close();
  await killAll();
  await daemon.stop();
});

async function said(
  line: readonly string[],
): Promise<readonly [status: number | null, stderr: string]> {
  const { status, stdout, stderr } = await run([...line, ...BRIEFLY]);
  expect(stdout).toBe('');
  return [status, stderr];
}

describe('commands name the address, the cause, and what names another broker', () => {
  it('over HTTP', async () => {
    const at = (url: string): string[] => ['ha', 'status', '--admin', url];
    const here = httpOf(daemon);
    const { port } = silent.address() as AddressInfo;
    const nobody = `http://127.0.0.1:${dead}`;
    const mdp = daemon.endpoint.replace('tcp:', 'http:');
    const tls = here.replace('http:', 'https:');
    for (const [url, status, why] of [
      [nobody, 69, `${nobody} cannot be reached: connection refused`],
      [mdp, 69, `${mdp} cannot be reached: it does not speak HTTP: is it an endpoint of broker.`],
      [tls, 69, `${tls} cannot be reached: it does not speak TLS: use http://`],
      [`http://127.0.0.1:${port}`, 75, `127.0.0.1:${port} within 3000 ms (--timeout-ms)`],
      ['http://no-such-host.invalid:1', 69, 'invalid:1 cannot be reached: '],
    ] as const) {
      const [ended, text] = await said(at(url));
      expect([url, ended]).toEqual([url, status]);
      expect(text).toContain(why);
      expect(text.endsWith(OTHER_HTTP)).toBe(true);
    }
    const others = [['services'], ['top'], ['durable', 'ls']];
    const stderr = `majordomo: ${nobody} cannot be reached: connection refused${OTHER_HTTP}`;
    expect(await runEach(others.map((line) => [...line, '--admin', nobody]))).toEqual(
      others.map(() => ({ status: 69, signal: null, stdout: '', stderr })),
    );
  });

  it('over MDP', async () => {
    const at = (endpoint: string): string[] => ['services', '--endpoint', endpoint];
    const { port } = silent.address() as AddressInfo;
    const http = httpOf(daemon).replace('http:', 'tcp:');
    for (const [endpoint, why] of [
      [`tcp://127.0.0.1:${dead}`, 'connection refused'],
      [`tcp://127.0.0.1:${port}`, 'no answer'],
      [
        http,
        'not ZMTP 3: it is the port of an HTTP server (an address of http.listen is for --admin)',
      ],
    ] as const) {
      const waits = `majordomo: no connection to ${endpoint} yet; trying until --timeout-ms is over\n`;
      const expected = `${waits}majordomo: no broker answers at ${endpoint}: ${why}${OTHER_MDP}`;
      const [status, text] = await said(at(endpoint));
      // Which of two timers ends first is the machine's choice.
      const told = text.replace('no ZMTP handshake in time', 'no answer');
      expect([status, told]).toEqual([69, expected]);
    }
  });

  it('and the key of the configuration that a part needs', async () => {
    const { endpoint } = daemon;
    const http = httpOf(daemon);
    const lines = [
      [['durable', 'ls', '--admin', http], `${http}: durable requests are switched off: titanic.`],
      [['request', '--durable', 'x', '--endpoint', endpoint], 'set titanic.enabled there'],
      [['durable', 'schedules', '--endpoint', endpoint], 'set titanic.enabled there'],
      [['map', 'ls', '--endpoint', endpoint], 'does not serve a map: set map.listen there'],
      [['events', '--endpoint', endpoint], 'does not publish its events: set events.listen there'],
      [['fleet', 'status', '--endpoint', endpoint], 'is in no fleet: fleet.nats is off'],
    ] as const;
    const all = await runEach(lines.map(([line]) => [...line, ...BRIEFLY]));
    for (const [at, [line, why]] of lines.entries()) {
      expect([line, all[at]?.stderr]).toEqual([line, expect.stringContaining(why)]);
      const where = line[0] === 'durable' && line[1] === 'ls' ? http : endpoint;
      expect(all[at]?.stderr).toContain(where);
      if (line[0] === 'events') expect(all[at]?.status).toBe(69);
      else expect(all[at]?.status).not.toBe(0);
    }
  });
});
