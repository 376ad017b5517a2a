/**
 * Whom a running broker refused, what they had sent, and what to do: of its latest events, and of
 * those that happen while `doctor` listens.
 */
import { type Facts, factsIn, listIn } from '../../common/facts.js';
import { counted, printable } from '../../common/output.js';
import { messageOf } from '../../../core/errors.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';
import type { AdminClient } from '../../connection/admin-client.js';

const NAME = 'refused peers';
/** Different refusals that are shown. */
const SHOWN_MAX = 20;

/** What to do about a connection that was refused, by kind. */
const CONNECTIONS: Readonly<Record<string, string>> = {
  accept: 'raise the limit of open files (LimitNOFILE, ulimit -n)',
  connections: 'let the peer use fewer connections, or raise limits.connections or its share',
  cut: 'look for why the peer, or the network, ended in the middle of a message',
  greeting:
    'the peer must speak ZMTP 3, or 2.0 where the listener has no keys; transport: libzmq also takes 1.0',
  handshake: 'correct the socket type or the keys of the peer; a slow one tries again by itself',
  handshake_cut: 'none, if it is a health check that only connects: let it ask /healthz instead',
  handshakes: 'look for what connects there so often',
  identity: 'give each peer a routing id of its own, or none',
  key: 'add the public key of the peer to the keys file of the listener, or remove the peer',
  keys: 'look at the service in security.authorize',
  mechanism:
    'give the peer the keys of the listener (curve), or let it use a listener without: both sides need the same',
  incomplete: 'let the peer send its messages whole, and not so many large ones at once',
  memory: 'let peers send less at once, or raise limits.memoryBytes',
  output: 'let the peer read faster, or raise its quota outputBytes',
  protocol: 'correct the ZeroMQ library of the peer: what it sent is not ZMTP',
  silent: 'look for why the peer, or the network, stopped',
  too_large: 'send less at once, or raise limits.messageBytes',
};

const FRAMES = 'docs/protocol.md has every message, docs/languages programs that send them';
const RIGHTS = 'give its key the right in the keys file, or its listener the role in allow';
const SLOW = 'let it read faster, or ask for less';

/** What to do, by event; where its `kind` or `reason` decides, by that, too. */
const REMEDIES: Readonly<Record<string, string | Readonly<Record<string, string>>>> = {
  'connection.rejected': CONNECTIONS,
  'ha.rejected': CONNECTIONS,
  'map.rejected': CONNECTIONS,
  'stream.rejected': CONNECTIONS,
  'message.malformed': {
    envelope: `correct the first frames of the program, or give one without MDP a listener with service: ${FRAMES}`,
    client: `correct that frame of the client: ${FRAMES}`,
    worker: `correct that frame of the worker: ${FRAMES}`,
    too_large: 'send less at once, or raise limits.messageBytes or limits.frames',
  },
  'map.malformed': `correct that message to the map: ${FRAMES}`,
  'titanic.malformed': 'correct the request for titanic.*: docs/durable.md',
  'worker.unexpected':
    'a worker sends READY once, first, and then answers what it was given; after DISCONNECT it connects again',
  'worker.refused': {
    reserved: 'give the service a name that does not begin with mmi. or titanic.',
    limit: 'use fewer workers or services, or raise the limit or quota that is named',
    rights: RIGHTS,
    draining: 'none: it comes to another node, or when this one is back',
  },
  'request.refused': {
    quota:
      'let the client do less, or raise the quota that is named (limits.perPeer, limits.quotas)',
    too_large: 'send less at once, or raise limits.messageBytes or limits.frames',
    rights: RIGHTS,
  },
  'titanic.refused': {
    limit:
      'see who stores most with majordomo clients --by stored, and what with majordomo durable ls; purge what nobody needs, or raise what is named',
    store: 'look for the events store.* in the log: the disk or the database',
    peer: 'none: the nodes of the pair are synchronising, and clients send again',
    webhook: 'allow its host with http.webhookHosts, or correct the URL that the client gave',
  },
  'titanic.wait_refused':
    'let its clients wait for fewer answers at once, or raise the quota waits (limits.perPeer, limits.quotas)',
  'titanic.denied':
    'only who stored a request gets its reply: ask with that key, or store it shared',
  'schedule.denied': RIGHTS,
  'schedule.delayed': 'purge what nobody needs, or raise what is named; it is tried again',
  'map.denied': RIGHTS,
  'map.refused': {
    limit: 'delete what nobody needs, or raise limits.mapBytes',
    reserved: 'let the client write other keys',
    waiting: 'let clients write less at once: more waits for the disk than may',
    store: 'look for the events map.* and store.* in the log: the disk',
    replication: 'see majordomo ha status: the peer is not in sync',
    numbers: 'majordomo ha switchover, or a restart',
  },
  'stream.refused': RIGHTS,
  'session.refused':
    'it is served, but loses its requests with its connection: raise the quota sessions, or let programs share a client',
  'client.closed': `${SLOW}; or raise limits.outputBytes`,
  'stream.closed': SLOW,
  'map.closed': SLOW,
  'map.stalled': SLOW,
};

const HELLOS =
  'a client whose hello is refused learns of no failure, so the SDKs refuse its requests: raise the quota that is named; hellos counts only clients behind a proxy';

/** What to do when a limit of the broker is reached, by the limit; of all others what `FLOOD` says. */
const LIMITS: readonly (readonly [names: RegExp, remedy: string])[] = [
  [
    /limits\.services/,
    'correct the names that clients request, or start the workers of these services; or raise limits.services',
  ],
  [
    /limits\.memoryBytes|arena/,
    'see who holds most with majordomo clients --by held: let it send less, or give it a quota; or raise limits.memoryBytes',
  ],
];
const FLOOD =
  'see who has most outstanding with majordomo clients --by outstanding: give a client that floods a quota; if none does, start more workers, or raise the limit that is named';
/** The share of all outstanding requests above which a client floods. */
const FLOOD_SHARE = 0.5;

/**
 * @param client of the broker that this configuration is for
 * @param seconds how long to listen
 */
export async function listening(
  client: () => Promise<Pick<AdminClient, 'listen' | 'get'>>,
  seconds: number,
): Promise<readonly Finding[]> {
  try {
    const asked = await client();
    const stream = await asked.listen('/api/v1/events', seconds * 1000);
    return refusals(stream, seconds, await causesAt(asked));
  } catch (error) {
    const remedy = 'start the broker, with http.listen, or name it with --admin';
    return [problem(NAME, messageOf(error), remedy)];
  }
}

/** Why requests wait until a limit is reached. */
interface Causes {
  /** What to do about the one client that has most of the requests; `null`: there is none, or no token to see it. */
  readonly flood: string | null;
  /** Services whose requests wait for a first worker. */
  readonly unserved: ReadonlySet<unknown>;
}

async function causesAt(client: Pick<AdminClient, 'get'>): Promise<Causes> {
  const query = { state: 'unserved', limit: '1000' };
  const answer = await client.get('/api/v1/services', query).catch(() => null);
  const unserved = new Set(listIn(answer?.['items']).map(({ service }) => service));
  return { flood: await floodAt(client), unserved };
}

async function floodAt(client: Pick<AdminClient, 'get'>): Promise<string | null> {
  const query = { by: 'outstanding', limit: '1000' };
  const answer = await client.get('/api/v1/clients', query).catch(() => null);
  const clients = listIn(answer?.['items']).filter(
    ({ outstanding, requestsPerSecond }) => Number(outstanding) + Number(requestsPerSecond) > 0,
  );
  const all = clients.reduce((sum, { outstanding }) => sum + Number(outstanding), 0);
  const { kind, name, outstanding, requestsPerSecond } = clients[0] ?? {};
  const own = Number(outstanding ?? 0);
  if (clients.length < 2 || own <= all * FLOOD_SHARE) return null;
  return (
    `the ${printable(kind)} ${printable(name)} floods: it has ${own} of ${all} outstanding requests, and sends ` +
    `${printable(requestsPerSecond)} per second: let it send less, or give it a quota (limits.quotas, limits.perPeer)`
  );
}

/**
 * @param stream of the events, as HTTP serves it
 * @param seconds for how long it was read
 * @param causes of limits that were reached
 */
function refusals(stream: string, seconds: number, causes: Causes): readonly Finding[] {
  return explained(eventsIn(stream), seconds, causes);
}

/** The data of server-sent events; what is cut at the end is left out. */
function eventsIn(stream: string): readonly Facts[] {
  const lines = stream.slice(0, stream.lastIndexOf('\n') + 1).matchAll(/^data: (.*)\n/gm);
  return Array.from(lines, ([, data = '']) => factsIn(JSON.parse(data)) ?? {});
}

interface Refusal {
  readonly event: Facts;
  count: number;
  last: string;
}

/** Makes one finding of all equal refusals, the latest first. */
function explained(events: readonly Facts[], seconds: number, causes: Causes): readonly Finding[] {
  const refused = new Map<string, Refusal>();
  for (const { time, ...event } of events) {
    if (remedyOf(event, causes) === null) continue;
    const same = JSON.stringify(event);
    const count = (refused.get(same)?.count ?? 0) + 1;
    // Moved behind all others.
    refused.delete(same);
    refused.set(same, { event, count, last: printable(time) });
  }
  if (refused.size === 0) {
    const text = `none among the latest events of the broker, and none within ${seconds} s`;
    return [ok(NAME, text)];
  }
  const all = [...refused.values()].reverse();
  const findings = all.slice(0, SHOWN_MAX).map((each) => findingOf(each, causes));
  if (all.length > SHOWN_MAX) {
    const text = `${all.length - SHOWN_MAX} more, which were refused before these`;
    findings.push(warning(NAME, text, 'majordomo events, or the log, has all'));
  }
  return findings;
}

function findingOf({ event, count, last }: Refusal, causes: Causes): Finding {
  const times = count === 1 ? `at ${last}` : `${counted(count, 'time')}, the last at ${last}`;
  const text = `${senderOf(event)}: ${saidOf(event)} (${printable(event['event'])}, ${times})`;
  return warning(NAME, text, remedyOf(event, causes) ?? '');
}

/** @returns what to do; `null`: no peer was refused, or only told to wait */
function remedyOf(event: Facts, { flood, unserved }: Causes): string | null {
  const remedies = REMEDIES[printable(event['event'])];
  if (remedies === undefined || event['severity'] === 'info') return null;
  if (event['event'] === 'request.refused' && event['reason'] === 'limit') {
    const text = printable(event['text']);
    const known = LIMITS.find(([names]) => names.test(text))?.[1];
    if (known !== undefined) return known;
    const { service } = event;
    const isUnserved = unserved.has(service);
    return isUnserved ? `start workers of ${printable(service)}: it has none` : (flood ?? FLOOD);
  }
  if (event['reason'] === 'quota' && event['service'] === 'mmi.hello') return HELLOS;
  if (typeof remedies === 'string') return remedies;
  const deciding = printable(event['kind'] ?? event['reason']);
  return remedies[deciding] ?? 'docs/logs.md describes this event';
}

function senderOf({ event, key, address, schedule }: Facts): string {
  if (event === 'titanic.refused' || event === 'map.refused') return 'a client';
  if (address === undefined && key === undefined) {
    return 'a peer (with a token, as the user of the broker has it, doctor says which)';
  }
  const place = typeof address === 'string' ? address : `schedule ${printable(schedule)}`;
  return typeof key === 'string' ? `${place}, key ${key}` : place;
}

/** The sentence is made of the fields, which say more. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set([
  'event',
  'severity',
  'sentence',
  'key',
  'address',
]);

/** What it sent, and the rule. */
function saidOf(event: Facts): string {
  const { command, frame, reason } = event;
  if (event['event'] === 'message.malformed') {
    const where = typeof frame === 'number' ? `, frame ${frame}` : '';
    return `${typeof command === 'string' ? command : 'a message'}${where}: ${printable(reason)}`;
  }
  const fields = Object.entries(event).filter(([name]) => !SHOWN_ELSEWHERE.has(name));
  return fields.map(([name, value]) => `${name} ${printable(value)}`).join(', ');
}
