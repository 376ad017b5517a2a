/** Chapter 5: Clone, model 6. */
import type { Daemon } from '../../../support/daemon.js';
import { until } from '../../../support/until.js';
import type { Line, Program } from '../../support/program.js';
import type { Case } from '../support/case.js';
import type { Place } from '../support/place.js';
import { isIn } from './pair.js';

/** The ports P that the Guide's client has built in. */
const MAPS = { primary: 5556, backup: 5566 } as const;
const LINK = { primary: 'tcp://127.0.0.1:5003', backup: 'tcp://127.0.0.1:5004' } as const;
type Role = keyof typeof MAPS;

/** Enough to show that a client follows a server. */
const UPDATES = 3;
const COUNTER_BITS = 40n;

function node(place: Place, role: Role, dataDir?: string): Promise<Daemon> {
  const peer = LINK[role === 'primary' ? 'backup' : 'primary'];
  return place.broker({
    listen: [],
    sets: [
      `map.listen=tcp://127.0.0.1:${MAPS[role]}`,
      ...[`bstar.role=${role}`, `bstar.listen=${LINK[role]}`, `bstar.peer=${peer}`],
    ],
    ...(dataDir === undefined ? {} : { dataDir }),
  });
}

/** One published change. */
interface Change {
  readonly port: number;
  readonly key: string;
  readonly value: string;
  readonly ttlS: number;
  /** What the Guide's client prints of its number: the low bits, that is the counter. */
  readonly counter: number;
  readonly epoch: number;
  readonly atMs: number;
}

/** Reads with a SUB and a DEALER of libzmq what the node at that port publishes. */
class Watcher {
  readonly changes: Change[] = [];
  readonly port: number;
  readonly #program: Program;
  #read = 0;

  constructor(place: Place, port: number) {
    this.port = port;
    this.#program = place.python('map_peer', `tcp://localhost:${port}`, '--topics', '/client/');
  }

  look(): void {
    const said = this.#program.said('update');
    for (; this.#read < said.length; this.#read++) {
      this.changes.push(changeOf(this.port, said[this.#read]));
    }
  }

  /** The map of a node that serves: keys and values. */
  async snapshot(): Promise<ReadonlyMap<string, string>> {
    const before = this.#program.said('snapshot').length;
    this.#program.tell(JSON.stringify({ do: 'ask', frames: ['ICANHAZ?', '/client/'] }));
    const fresh = (): readonly Line[] => this.#program.said('snapshot').slice(before);
    const isEnd = (line: Line): boolean => framesOf(line)[0] === 'KTHXBAI';
    await this.#program.until(() => fresh().some(isEnd), 'a snapshot');
    const records = fresh().filter((line) => !isEnd(line));
    return new Map(records.map((line) => [framesOf(line)[0] ?? '', framesOf(line)[4] ?? '']));
  }
}

function framesOf(line: Line | undefined): readonly string[] {
  return (line?.['frames'] ?? []) as readonly string[];
}

function changeOf(port: number, line: Line | undefined): Change {
  const [key = '', number = '', , properties = '', value = ''] = framesOf(line);
  const whole = Buffer.from(number, 'latin1').readBigUInt64BE();
  const ttlS = Number(/^ttl=(\d+)$/m.exec(properties)?.[1] ?? 0);
  const counter = Number(BigInt.asUintN(Number(COUNTER_BITS), whole));
  return {
    port,
    key,
    value,
    ttlS,
    counter,
    epoch: Number(whole >> COUNTER_BITS),
    atMs: Date.now(),
  };
}

/** The counters of the updates that a client logged, one list for each snapshot that it had. */
function logOf(client: Program): readonly {
  readonly port: number;
  readonly from: number;
  readonly updates: readonly number[];
}[] {
  const terms: { port: number; from: number; updates: number[] }[] = [];
  for (const { event } of client.lines) {
    const [, port, kind, number] =
      /received from \S+:(\d+) (snapshot|update)=(\d+)/.exec(event) ?? [];
    if (kind === 'snapshot') terms.push({ port: Number(port), from: Number(number), updates: [] });
    else if (kind === 'update') terms.at(-1)?.updates.push(Number(number));
  }
  return terms;
}

/** Each client has had a snapshot of that node, the last one, and updates since. */
async function untilFollowed(clients: readonly Program[], role: Role): Promise<void> {
  for (const client of clients) {
    await client.until(() => {
      const last = logOf(client).at(-1);
      return last?.port === MAPS[role] && last.updates.length >= UPDATES;
    }, `${UPDATES} updates of the ${role}`);
  }
}

/** Within what both have logged of one node, two clients have logged the same; and all of it was published. */
async function expectConverged(
  clients: readonly Program[],
  watchers: readonly Watcher[],
): Promise<void> {
  const logs = clients.map(logOf);
  const [one = [], other = []] = logs;
  expect(one.map(({ port }) => port)).toEqual([MAPS.primary, MAPS.backup, MAPS.primary]);
  expect(other.map(({ port }) => port)).toEqual(one.map(({ port }) => port));
  for (const [index, term] of one.entries()) {
    const others = other[index];
    const from = Math.max(term.from, others?.from ?? 0);
    const upTo = Math.min(term.updates.at(-1) ?? 0, others?.updates.at(-1) ?? 0);
    const between = (numbers: readonly number[]): readonly number[] =>
      numbers.filter((number) => number > from && number <= upTo);
    expect(between(term.updates).length).toBeGreaterThan(0);
    expect(between(term.updates)).toEqual(between(others?.updates ?? []));
    const watcher = watchers.find(({ port }) => port === term.port);
    const published = (): ReadonlySet<number> =>
      new Set(watcher?.changes.map(({ counter }) => counter));
    // The watcher may read the last of them a little later.
    await until(
      () => term.updates.every((number) => published().has(number)),
      'what a client has, published',
    );
  }
}

/** Every value that was published is there until its time to live is over, or it was overwritten. */
async function expectKept(watchers: readonly Watcher[], at: Watcher): Promise<void> {
  const askedAt = Date.now();
  const map = await at.snapshot();
  for (const watcher of watchers) watcher.look();
  const all = watchers.flatMap(({ changes }) => changes);
  all.sort((a, b) => a.epoch - b.epoch || a.counter - b.counter);
  const last = new Map(all.map((change) => [change.key, change]));
  const living = [...last.values()].filter(
    ({ value, ttlS, atMs }) =>
      value !== '' && atMs < askedAt && (ttlS === 0 || askedAt < atMs + ttlS * 1000 - 1000),
  );
  expect(living.length).toBeGreaterThan(UPDATES);
  for (const { key, value } of living) expect([key, map.get(key)]).toEqual([key, value]);
}

async function failOver(place: Place): Promise<void> {
  const primary = await node(place, 'primary');
  const backup = await node(place, 'backup');
  await until(() => isIn(primary, 'active') && isIn(backup, 'passive'), 'a pair that serves');
  const watchers = [new Watcher(place, MAPS.primary), new Watcher(place, MAPS.backup)] as const;
  const looking = setInterval(() => {
    for (const watcher of watchers) watcher.look();
  }, 100);
  try {
    const clients = [await place.unlike('clonecli6'), await place.unlike('clonecli6')];
    await untilFollowed(clients, 'primary');
    await primary.kill();
    await untilFollowed(clients, 'backup');
    const again = await node(place, 'primary', primary.dataDir);
    await backup.waitFor('ha.merged');
    // It hands over.
    await backup.stop();
    expect(isIn(again, 'active')).toBe(true);
    await untilFollowed(clients, 'primary');
    await expectConverged(clients, watchers);
    await expectKept(watchers, watchers[0]);
  } finally {
    clearInterval(looking);
  }
}

export const CLONE: readonly Case[] = [
  {
    programs: ['clonecli6'],
    shows: 'two of them have what a pair publishes, through a kill -9 and a switchover',
    run: failOver,
  },
];

/** Its own server, alone: in the Guide's code a failover of it loses updates (D58). */
async function sharedMap(place: Place): Promise<void> {
  place.program('clonesrv6', '-p');
  const guides = place.program('clonecli6');
  const ours = place.sdk('map-client', 'tcp://localhost:5556');
  // Its vote makes the server active; its set is there, and is read by the Guide's client.
  await ours.waitFor('synced');
  // With a time to live: the Guide's server drops some keys without one (it reads none into a variable
  // that has no value).
  ours.tell(JSON.stringify({ set: '/client/ours', value: 'blue', ttlMs: 600_000 }));
  ours.tell(JSON.stringify({ set: '/client/brief', value: 'red', ttlMs: 1000 }));
  await ours.waitFor('set', 2);
  await ours.until(
    () => ours.said('change').some(({ key, value }) => key === '/client/brief' && value === null),
    'the end of a key',
  );
  await ours.until(
    () => ours.said('change').some(({ key }) => /^\/client\/\d+$/.test(String(key))),
    "a value of the Guide's client",
  );
  await guides.until(() => logOf(guides).some(({ updates }) => updates.length > 0), 'an update');
  // A client that comes later has what is there.
  const later = place.sdk('map-client', 'tcp://localhost:5556');
  const { entries } = await later.waitFor('synced');
  expect(Object.entries(entries as object)).toContainEqual(['/client/ours', 'blue']);
}

export const CLONE_SERVER: readonly Case[] = [
  {
    programs: ['clonesrv6'],
    shows: 'serves SharedMap: a snapshot, updates, and the end of a key',
    run: sharedMap,
  },
];
