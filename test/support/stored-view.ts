/**
 * What a node tells of everything that it stores, in words that are promised: HTTP. The fixtures of a version
 * (fixtures.ts) have what its own program told of them.
 */
import type { Daemon } from './daemon.js';
import { ask, httpOf, tokenOf } from './http.js';
import { until } from './until.js';

type Item = Readonly<Record<string, unknown>>;
type Named = Readonly<Record<string, unknown>>;

export interface StoredView {
  /** By uuid: the history and the bodies. */
  readonly requests: Named;
  /** By uuid. */
  readonly schedules: Named;
  /** The services that are paused. */
  readonly paused: readonly string[];
  /** By service: those that operators have set. Absent: a version that had none. */
  readonly limits?: Named;
  /** By key; empty: the node serves no map. */
  readonly map: Named;
}

/** What differs with the time that has passed, or may. */
const PASSING = new Set(['waiting', 'next', 'last', 'firings', 'number', 'expiresInMs']);

/** The sets of a node with this view: nothing expires for ten years, the longest time. */
export const VIEWED: readonly string[] = [
  ...['requestTtlMs', 'replyTtlMs', 'keyTtlMs'].map((key) => `titanic.${key}=315360000000`),
  ...['titanic.showBodies=true', 'http.listen=127.0.0.1:0', 'node.name=fixture'],
];

export async function storedView(daemon: Daemon, hasMap = false): Promise<StoredView> {
  const get = async (path: string): Promise<Item> => {
    const url = `${httpOf(daemon)}/api/v1/${path}`;
    const { status, text, json } = await ask(url, { token: tokenOf(daemon) });
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(JSON.stringify(json, settled)) as Item;
  };
  const items = async (path: string): Promise<Item[]> => (await get(path))['items'] as Item[];
  const requests: Record<string, unknown> = {};
  for (const { uuid } of await items('titanic/requests?limit=1000')) {
    const at = `titanic/requests/${String(uuid)}`;
    requests[String(uuid)] = { ...(await get(at)), bodies: await get(`${at}/bodies`) };
  }
  const services = await items('services?limit=1000');
  const paused = services.filter((each) => each['paused'] === true);
  const limited = services.filter(({ limitsSet = null }) => limitsSet !== null);
  return {
    requests,
    schedules: byName(await items('titanic/schedules?limit=1000'), 'uuid'),
    paused: paused.map(({ service }) => String(service)),
    limits: Object.fromEntries(
      limited.map(({ service, limits, limitsSet }) => {
        // How many run, and what is held, differ with the time that has passed.
        const { runs: _runs, held: _held, ...set } = limits as Item;
        return [String(service), { ...set, limitsSet }];
      }),
    ),
    map: hasMap ? byName(await items('map?limit=1000'), 'key') : {},
  };
}

function settled(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !PASSING.has(key)));
}

function byName(items: readonly Item[], name: string): Named {
  return Object.fromEntries(items.map((item) => [String(item[name]), item]));
}

/** With a store in a database: once the broker that had these requests counts as dead. */
export async function viewOnceFree(daemon: Daemon, uuids: readonly string[]): Promise<StoredView> {
  let view = await storedView(daemon);
  const isFree = (uuid: string): boolean =>
    (view.requests[uuid] as Item | undefined)?.['state'] === 'pending';
  await until(async () => {
    view = await storedView(daemon);
    return uuids.every(isFree);
  }, 'the requests of another broker are free');
  return view;
}
