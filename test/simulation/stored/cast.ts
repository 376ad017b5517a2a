/** The participants of a world of stored requests, of one node or of a pair. */
import { identityOf } from '../../../src/zmtp/identity.js';
import { ownOf } from '../../../src/store/own-fields.js';
import type { MdpVersion } from '../../../src/wire/mdp.js';
import { TITANIC_SCHEDULE } from '../../../src/wire/tsp.js';
import type { Mischief, WorkerHabits } from '../actors/worker.js';
import type { ServiceCount, StoredRequest } from '../../../src/store/store.js';
import { countServices } from '../../../src/testing/memory-rows.js';
import { hold } from '../world/failure.js';
import type { Dialled } from '../world/network.js';
import type { SimRandom } from '../world/random.js';
import type { DurableHabits } from './durable-client.js';

export type Services = readonly [string, ...string[]];

/** The last service has no workers before all faults have ended. */
export const CASTS: readonly [Services, Services] = [['echo'], ['echo', 'sum', 'never']];

/** @param patienceMs one of these is chosen */
export function clientHabits(
  random: SimRandom,
  services: Services,
  patienceMs: readonly [number, number],
  durationMs: number,
): DurableHabits {
  return {
    jobs: random.int(1, 8),
    services,
    gapMaxMs: random.pick([10, 200]),
    patienceMs: random.pick(patienceMs),
    keyChance: 0.5,
    closeChance: random.pick([0, 0.1, 0.3]),
    cutChance: random.pick([0, 0.05]),
    ttlMaxMs: durationMs,
    delayMaxMs: durationMs / 2,
  };
}

/**
 * A stored request belongs to the client, the spy or the scheduler that its body, or the name of a schedule, names
 * (D70).
 */
export function checkOwners(
  rows: readonly { readonly request: StoredRequest; readonly body: Buffer }[],
): void {
  for (const { request, body } of rows) {
    const line = request.kind === 'schedule' ? ownOf('schedule', request.own) : null;
    const text = line?.name ?? body.toString('latin1', 2);
    const [, client, spy] = /^(?:c([0-9]+)j|spy([0-9]+)).*$/s.exec(text) ?? [];
    const scheduler = /^k([0-9]+)n/.exec(text)?.[1];
    const place = spy === undefined ? Number(client ?? scheduler) - 1 : Number(spy) + 1;
    const key = KEYS[place % KEYS.length] ?? null;
    const owner = key === null ? 'anonymous' : `key:${key}`;
    hold(request.owner === owner, `what ${owner} stored is stored as that of ${request.owner}`);
  }
}

/** The counts kept for each service equal what exists. Schedules wait for no worker. */
export function checkServices(
  kept: Iterable<ServiceCount>,
  rows: readonly { readonly request: StoredRequest }[],
): void {
  const told = [...kept].sort((a, b) => a.service.compare(b.service)).map(countText);
  const counted = countServices(rows)
    .filter(({ service }) => service.toString() !== TITANIC_SCHEDULE)
    .map(countText);
  hold(told.join() === counted.join(), `kept is ${told.join()}, there is ${counted.join()}`);
}

/** The counts of one service, to be compared. */
export function countText({ service, pending, retrying, replied, dead }: ServiceCount): string {
  return [service.toString('latin1'), pending, retrying, replied, dead].join(' ');
}

export interface WorkersHere {
  readonly services: Services;
  readonly mischief: readonly [Mischief, ...Mischief[]];
  /** One of these. */
  readonly chances: readonly [number, number, number];
}

/** @param only the service of a good worker, with which everything completes */
export function workerHabits(random: SimRandom, here: WorkersHere, only?: string): WorkerHabits {
  const serviceNames = here.services.filter((service) => service !== 'never');
  const isGood = only !== undefined;
  const kinds = random.int(1, 4);
  return {
    version: random.pick<MdpVersion>([1, 2]),
    service: only ?? random.pick([serviceNames[0] ?? 'echo', ...serviceNames]),
    credit: random.chance(0.5) ? random.int(1, 20) : null,
    beats: 'always',
    serveMaxMs: isGood ? 0 : random.pick([0, 50, 400]),
    partialsMax: isGood ? 0 : 3,
    mischief: isGood ? [] : Array.from({ length: kinds }, () => random.pick(here.mischief)),
    mischiefChance: random.pick(here.chances),
    isStubborn: random.chance(0.5),
  };
}

/** Every world has both keys; some peers have none. */
export const KEYS: readonly (string | null)[] = ['alice', 'bob', null];

/** @param key the key that it uses */
export function dialled(name: string, key: string | null = null): Dialled {
  return {
    listener: 0,
    ownRoutingId: false,
    routingId: Buffer.from(name),
    key,
    address: '127.0.0.1',
    identity: identityOf('127.0.0.1', key),
  };
}
