/**
 * Kills and stops the servers behind `majordomo worker --to`, under a load of unchanged REQ clients: none may hang.
 * Then one of the servers is killed without a broker between, to show what happens there.
 */
import { join } from 'node:path';

import { Child } from '../support/child.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { compile, Program, python, pythonLine, SOURCES } from '../interop/support/program.js';
import { freePorts } from '../support/free-ports.js';
import { until } from '../support/until.js';

const CLIENTS = 4;
/** So that a server has a request whenever it is hurt. */
const DELAY_MS = '5';
const ENDLESS = '1000000000';
/** How long a client without a broker waits before it says that it hangs. */
const HANGS_MS = 3000;
const SERVICE = 'hello';

/** `rep`: the Guide's server in C and in Python; `web`: one in Python and one of Node. */
export type Kind = 'rep' | 'web';

export interface Hurts {
  readonly kind: Kind;
  readonly count: number;
  /** Each so many of them is a SIGSTOP, whose end takes seconds to be noticed; the others are SIGKILL. */
  readonly stopEach: number;
}

export interface BridgeTally {
  readonly kills: number;
  readonly stops: number;
  readonly replies: number;
  /** Whether a client of the same servers without a broker waited in vain. */
  readonly hangsAlone: boolean;
}

/** A server that can be started again at its address. */
class Server {
  readonly url: string;
  readonly #line: readonly [string, ...string[]];
  program: Program;

  constructor(url: string, line: readonly [string, ...string[]]) {
    this.url = url;
    this.#line = line;
    this.program = this.#start();
  }

  restart(): void {
    this.program = this.#start();
  }

  #start(): Program {
    const [command, ...args] = this.#line;
    return new Program(this.url, command, args);
  }
}

async function serversOf(kind: Kind, directory: string): Promise<readonly [Server, Server]> {
  if (kind === 'rep') {
    const [one, two] = [`ipc://${directory}/one`, `ipc://${directory}/two`];
    return [
      new Server(one, [compile('rep_server', directory), one, DELAY_MS]),
      new Server(two, pythonLine('rep_server', two, DELAY_MS)),
    ];
  }
  const [one = 0, two = 0] = await freePorts(2);
  const node = [process.execPath, join(SOURCES, 'web_server.mjs'), `${two}`, DELAY_MS] as const;
  return [
    new Server(`http://127.0.0.1:${one}/`, pythonLine('web_server', one, DELAY_MS)),
    new Server(`http://127.0.0.1:${two}/`, [...node]),
  ];
}

/** Call `killPrograms`, `killAll` and `removeDaemons` afterwards. @throws if a client hangs */
export async function hurtServers(
  { kind, count, stopEach }: Hurts,
  say: (text: string) => void = () => undefined,
): Promise<BridgeTally> {
  const directory = temporaryDirectory();
  const servers = await serversOf(kind, directory);
  const clientsAt = `ipc://${directory}/clients`;
  const listen = [
    { endpoint: `ipc://${directory}/mdp` },
    { endpoint: clientsAt, service: SERVICE, allow: ['client'] },
  ];
  const sets = [`broker.listen=${JSON.stringify(listen)}`];
  const daemon = await startDaemon({ endpoint: null, sets });
  const worker = workerOf(daemon, kind, servers);
  const registered = ({ url }: Server, times: number): Promise<void> =>
    worker.until(({ stderr }) => stderr.split(` for ${url}\n`).length > times, `${url} is served`);
  await Promise.all(servers.map((server) => registered(server, 1)));
  const clients = Array.from({ length: CLIENTS }, (_, number) =>
    python('plain_client', clientsAt, 'req', `client ${number}`, '--count', ENDLESS),
  );
  const goOn = async (): Promise<void> => {
    const had = clients.map((client) => client.said('reply').length);
    const isFurther = (client: Program, at: number): boolean =>
      client.said('reply').length >= (had[at] ?? 0) + 3;
    await until(() => clients.every(isFurther), 'each client has three more replies');
  };
  await goOn();
  const tally = { kills: 0, stops: 0 };
  for (let number = 1; number <= count; number++) {
    const server = servers[number % 2] ?? servers[0];
    const served = worker.stderr.split(` for ${server.url}\n`).length;
    const asked = server.program.said('request').length;
    await server.program.until(
      () => server.program.said('request').length > asked,
      'a request to be lost',
    );
    const isStop = number % stopEach === 0;
    if (isStop) server.program.signal('SIGSTOP');
    else await server.program.kill();
    await goOn();
    await worker.until(
      ({ stderr }) =>
        stderr.lastIndexOf(`${server.url}: `) > stderr.lastIndexOf(` for ${server.url}\n`),
      `${server.url} is missed`,
    );
    if (isStop) server.program.signal('SIGCONT');
    else server.restart();
    await registered(server, served);
    tally[isStop ? 'stops' : 'kills']++;
    if (number % 20 === 0) say(`${number} of ${count}: ${repliesOf(clients)} replies`);
  }
  await goOn();
  expectRight(clients);
  const replies = repliesOf(clients);
  const hangsAlone = kind === 'rep' && (await hangsWithoutUs(servers));
  if (kind === 'rep') say(`without a broker a client ${hangsAlone ? 'hangs' : 'goes on'}`);
  return { ...tally, replies, hangsAlone };
}

function workerOf(daemon: Daemon, kind: Kind, servers: readonly Server[]): Child {
  const to = servers.flatMap(({ url }) => ['--to', url]);
  // Nothing else shows that a web server is stopped.
  const options = kind === 'web' ? ['--timeout-ms', '1000'] : [];
  return new Child(['worker', SERVICE, '--endpoint', daemon.endpoint, ...options, ...to]);
}

function repliesOf(clients: readonly Program[]): number {
  return clients.reduce((sum, client) => sum + client.said('reply').length, 0);
}

/** @throws if a client got the answer of another */
function expectRight(clients: readonly Program[]): void {
  for (const [number, client] of clients.entries()) {
    const wrong = client
      .said('reply')
      .find(({ frames }) => JSON.stringify(frames) !== JSON.stringify([`client ${number}`]));
    if (wrong !== undefined) throw new Error(`client ${number}: ${JSON.stringify(wrong)}`);
  }
}

/** A REQ client that is connected to both servers, of which one is killed. */
async function hangsWithoutUs(servers: readonly [Server, Server]): Promise<boolean> {
  const both = servers.map(({ url }) => url).join(',');
  const client = python(
    ...['plain_client', both, 'req', 'alone', '--count', ENDLESS, '--timeout-ms', HANGS_MS],
  );
  await client.waitFor('reply', 3);
  await servers[0].program.kill();
  await client.waitFor('silence');
  return true;
}
