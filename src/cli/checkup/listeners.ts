/** Whether the broker's endpoints are free, and who has them if not. */
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';

import { type Endpoint, parseEndpoint } from '../../config/endpoint.js';
import { codeOf, messageOf } from '../../core/errors.js';
import { ask, factsOf, withClient } from '../ask.js';
import { printable } from '../output.js';
import { type Finding, ok, problem } from './finding.js';

const ANSWER_MS = 1000;
const PRIVILEGED_PORT_MAX = 1023;
const SERVED = 'a Majordomo';

/** What was found at each endpoint, and whether a Majordomo serves at any. */
export interface Listeners {
  readonly findings: readonly Finding[];
  readonly served: boolean;
}

export async function listeners(endpoints: readonly string[]): Promise<Listeners> {
  const findings = await Promise.all(endpoints.map(listener));
  return { findings, served: findings.some(({ text }) => text.startsWith(SERVED)) };
}

async function listener(text: string): Promise<Finding> {
  const name = `listener ${text}`;
  const parsed = parseEndpoint(text);
  if (!parsed.ok) return problem(name, parsed.why, 'correct broker.listen');
  const { value } = parsed;
  return value.scheme === 'tcp' ? await tcp(name, value) : await ipc(name, value.path);
}

async function tcp(
  name: string,
  { host, port }: Extract<Endpoint, { scheme: 'tcp' }>,
): Promise<Finding> {
  const error = await bindError(host, port);
  if (error === null) return ok(name, port === 0 ? 'any free port' : 'free');
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return (
        (await broker(name, `tcp://${dialHost(host)}:${port}`)) ??
        problem(
          name,
          'in use by a program that is no Majordomo, or does not answer',
          `find it by: ss -ltnp 'sport = :${port}'; or choose another port`,
        )
      );
    case 'EACCES':
      return problem(
        name,
        'this user may not listen there',
        port <= PRIVILEGED_PORT_MAX
          ? `choose a port over ${PRIVILEGED_PORT_MAX}, or AmbientCapabilities=CAP_NET_BIND_SERVICE`
          : 'choose another port',
      );
    case 'EADDRNOTAVAIL':
      return problem(name, 'this machine does not have that address', 'see: ip address');
    default:
      return problem(name, messageOf(error), 'correct broker.listen');
  }
}

/** Null if the address could be bound; it is free again then. */
function bindError(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    const at = host === '*' ? {} : { host: host.replace(/^\[(.*)\]$/, '$1') };
    server.listen({ ...at, port, exclusive: true }, () => {
      server.close(() => {
        resolve(null);
      });
    });
  });
}

function dialHost(host: string): string {
  return host === '*' || host === '0.0.0.0' ? '127.0.0.1' : host;
}

async function ipc(name: string, path: string): Promise<Finding> {
  const folder = dirname(path);
  if (!existsSync(folder)) return problem(name, `${folder} is absent`, `mkdir -p ${folder}`);
  if (!existsSync(path) || !(await accepts(path))) return ok(name, 'free');
  return (
    (await broker(name, `ipc://${path}`)) ??
    problem(
      name,
      'in use by a program that is no Majordomo, or does not answer',
      `find it by: ss -lxp src ${path}; or choose another path`,
    )
  );
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** The Majordomo that answers there, if one does. */
async function broker(name: string, endpoint: string): Promise<Finding | null> {
  const service = 'mmi.broker';
  try {
    const answer = await withClient({ endpoint: [endpoint], timeoutMs: ANSWER_MS }, (client) =>
      ask(client, service),
    );
    const { version, node } = factsOf(service, answer);
    return ok(name, `${SERVED} ${printable(version)} serves there (node ${printable(node)})`);
  } catch {
    return null;
  }
}
