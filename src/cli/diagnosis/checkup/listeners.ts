/** Whether the endpoints of broker and pair are free, and if not, which process uses them. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';

import type { Config } from '../../../config/config.js';
import type { ListenerConfig } from '../../../config/entries.js';
import { parseEndpoint } from '../../../config/endpoint.js';
import { dialHost } from '../../../config/io/dial-host.js';
import { Broker } from '../../connection/broker.js';
import { ask, answerFacts } from '../../connection/state.js';
import { printable } from '../../common/output.js';
import { type Finding, ok, problem } from '../../../core/finding.js';
import { listenTrouble } from '../../../core/listen-trouble.js';
import { type Address, ANSWER_MS, portFinding, STRANGER } from './port.js';

const SERVED = 'a Majordomo';
const PRESUMED = 'in use, presumably by the running broker that uses the data directory';
/** Said of a listener with CURVE, which answers only keys that it knows. */
const SEALED = `${PRESUMED} (a listener with CURVE cannot be asked without a key)`;
/** Said of a listener with `service`, which would give the question to a worker as a request. */
const NO_MDP = `${PRESUMED} (a listener with service cannot be asked)`;

/** The finding for each endpoint, and whether a Majordomo answers at any of them. */
interface Listeners {
  readonly findings: readonly Finding[];
  readonly served: boolean;
}

/** What uses an endpoint, if that can be found out; `null`: another program. */
type Identify = (endpoint: string) => Promise<Finding | null>;

/** @param running whether a broker uses the data directory */
export async function listeners(
  { broker }: Pick<Config, 'broker'>,
  running: boolean,
): Promise<Listeners> {
  const findings = await Promise.all(broker.listen.map((each) => listener(each, running)));
  const served = findings.some(({ text }) => isServed(text));
  return { findings, served };
}

function isServed(text: string): boolean {
  return text.startsWith(SERVED) || text === SEALED || text === NO_MDP;
}

async function listener(
  { endpoint, curve, service }: ListenerConfig,
  running: boolean,
): Promise<Finding> {
  const name = `listener ${endpoint}`;
  const parsed = parseEndpoint(endpoint);
  if (!parsed.ok) return problem(name, parsed.why, 'correct broker.listen');
  const presumed = running ? ok(name, curve === undefined ? NO_MDP : SEALED) : null;
  const identify: Identify =
    curve === undefined && service === null
      ? (dialled) => majordomo(name, dialled)
      : () => Promise.resolve(presumed);
  const { value } = parsed;
  return value.scheme === 'tcp'
    ? await tcp(endpoint, value, identify)
    : await ipc(name, value.path, identify);
}

async function tcp(endpoint: string, address: Address, identify: Identify): Promise<Finding> {
  const { port } = address;
  return await portFinding(`listener ${endpoint}`, 'broker.listen', endpoint, address, (host) =>
    identify(`tcp://${dialHost(host)}:${port}`),
  );
}

/**
 * Where the primary of a pair listens for the backup.
 * @param served whether a Majordomo answers at this configuration's endpoints
 */
export async function peerListener(
  { role, listen }: Config['bstar'],
  served: boolean,
): Promise<readonly Finding[]> {
  if (role !== 'primary' || listen === null) return [];
  return await otherListener(`peer listener ${listen}`, 'bstar.listen', listen, served);
}

/**
 * The findings for any other listener of the node.
 * @param name of the finding
 * @param key of the configuration that has it
 * @param served as for `peerListener`
 */
export async function otherListener(
  name: string,
  key: string,
  endpoint: string,
  served: boolean,
): Promise<readonly Finding[]> {
  const parsed = parseEndpoint(endpoint);
  if (!parsed.ok) return [problem(name, parsed.why, `correct ${key}`)];
  if (parsed.value.scheme !== 'tcp') return [];
  const own = served ? ok(name, 'in use; a Majordomo broker answers at broker.listen') : null;
  return [await portFinding(name, key, endpoint, parsed.value, () => Promise.resolve(own))];
}

async function ipc(name: string, path: string, identify: Identify): Promise<Finding> {
  const folder = dirname(path);
  if (!existsSync(folder)) return problem(name, `${folder} does not exist`, `mkdir -p ${folder}`);
  if (!existsSync(path) || !(await accepts(path))) return ok(name, 'free');
  return (
    (await identify(`ipc://${path}`)) ??
    problem(name, STRANGER, listenTrouble({ code: 'EADDRINUSE' }, 'broker.listen', path).remedy)
  );
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The Majordomo that answers there, if any. */
async function majordomo(name: string, endpoint: string): Promise<Finding | null> {
  const service = 'mmi.broker';
  try {
    const broker = new Broker({ endpoint: [endpoint], timeoutMs: ANSWER_MS });
    const answer = await broker.client((client) => ask(client, service));
    const { version, node } = answerFacts(service, answer);
    return ok(name, `${SERVED} ${printable(version)} serves there (node ${printable(node)})`);
  } catch {
    return null;
  }
}
