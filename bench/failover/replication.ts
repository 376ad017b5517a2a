/**
 * Measures the cost of the second disk, the delay of heartbeats, and how an absent peer catches up.
 */
import { startDaemon } from '../../test/support/daemon.js';
import {
  otherOf,
  type PairOfDaemons,
  pairOfDaemons,
  ROLES,
} from '../../test/support/pair-daemons.js';
import { Patience } from '../../test/support/patience.js';
import type { TcpRelay } from '../../test/support/tcp-relay.js';
import { HeartbeatListener } from './heartbeats.js';
import { type Receipts, receipts, store } from './load.js';

export const OUTSTANDING = 64;
const HEARTBEAT_MS = 1000;
const CATCH_UP_MS = 600_000;

/** Reads the traffic in both directions. */
class Listeners {
  readonly #both = [new HeartbeatListener(), new HeartbeatListener()] as const;

  constructor(relay: TcpRelay) {
    const [client, server] = this.#both;
    relay.tap = {
      connected: () => {
        client.greet();
        server.greet();
      },
      fromClient: (chunk) => client.take(chunk),
      fromServer: (chunk) => server.take(chunk),
    };
  }

  /** How late each heartbeat since the last call arrived, in milliseconds. */
  late(): number[] {
    return this.#both.flatMap(({ gaps }) =>
      gaps.splice(0).map((gap) => Math.max(0, gap - HEARTBEAT_MS)),
    );
  }

  get bytes(): number {
    return this.#both.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

export interface Replication {
  readonly single: readonly Receipts[];
  readonly pair: readonly Receipts[];
  readonly lateUnderLoadMs: readonly number[];
  readonly disconnections: number;
  readonly behind: number;
  readonly catchUpMs: number;
  /** Receipts per second of the active node while no peer catches up, and while one does. */
  readonly aloneRate: number;
  readonly catchUpRate: number;
  readonly lateWhileCatchingUpMs: readonly number[];
  /** Bytes on the link when a peer with that many stored requests returns after it handed over. */
  readonly returnBytes: number;
  readonly returnMs: number;
}

async function start(pair: PairOfDaemons): Promise<void> {
  await Promise.all(ROLES.map((role) => pair.start(role)));
  await pair.inSync();
}

function disconnectionsOf(pair: PairOfDaemons): number {
  return pair.logged('ha.disconnected').length;
}

/** Without a relay, which would burden the process that sends the requests. */
async function ratesOf(
  rounds: number,
  seconds: number,
  progress: (text: string) => void,
): Promise<Pick<Replication, 'single' | 'pair' | 'disconnections'>> {
  const node = await startDaemon();
  const pair = await pairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS, direct: true });
  await start(pair);
  const single: Receipts[] = [];
  const both: Receipts[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`receipts, ${round + 1} of ${rounds}`);
    single.push(await receipts([node.endpoint], OUTSTANDING, seconds));
    both.push(await receipts(pair.endpoints, OUTSTANDING, seconds));
  }
  const disconnections = disconnectionsOf(pair);
  await Promise.all([node, ...ROLES.map((role) => pair.node(role))].map((each) => each.stop()));
  return { single, pair: both, disconnections };
}

export async function replication(
  { rounds, seconds, behind }: { rounds: number; seconds: number; behind: number },
  progress: (text: string) => void,
): Promise<Replication> {
  const rates = await ratesOf(rounds, seconds, progress);
  const pair = await pairOfDaemons({ heartbeatIntervalMs: HEARTBEAT_MS });
  const listeners = new Listeners(pair.link);
  await start(pair);
  progress('heartbeats under load');
  await receipts(pair.endpoints, OUTSTANDING, rounds * seconds);
  const lateUnderLoadMs = listeners.late();
  const disconnections = rates.disconnections + disconnectionsOf(pair);

  const active = await pair.inSync();
  await pair.node(otherOf(active)).kill();
  progress(`${behind} receipts while the peer is away`);
  await store(pair.endpoints, behind, OUTSTANDING);
  const { perSecond: aloneRate } = await receipts(pair.endpoints, OUTSTANDING, 2 * seconds);
  progress('the peer catches up');
  await pair.start(otherOf(active));
  const startedAt = performance.now();
  listeners.late();
  const [{ perSecond: catchUpRate }, catchUpMs] = await Promise.all([
    receipts(pair.endpoints, OUTSTANDING, 2 * seconds),
    pair.inSync(new Patience(CATCH_UP_MS)).then(() => performance.now() - startedAt),
  ]);
  const lateWhileCatchingUpMs = listeners.late();

  progress('a return after a hand-over');
  await pair.node(active).stop();
  const bytesBefore = listeners.bytes;
  const returnedAt = performance.now();
  await pair.start(active);
  await pair.inSync(new Patience(CATCH_UP_MS));
  return {
    single: rates.single,
    pair: rates.pair,
    lateUnderLoadMs,
    disconnections,
    behind,
    catchUpMs,
    aloneRate,
    catchUpRate,
    lateWhileCatchingUpMs,
    returnBytes: listeners.bytes - bytesBefore,
    returnMs: performance.now() - returnedAt,
  };
}
