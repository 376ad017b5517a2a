/**
 * A pair of daemons under load, and in each cycle a fault: kill -9 of one or of both, SIGSTOP and
 * SIGCONT, a link that is cut in one of four ways, a hand-over by an operator or by SIGTERM. The next
 * one often comes before both are in sync again.
 *
 * All the while an acknowledged request is never unknown before its close, and its reply is its own.
 * Once all is healed that holds at the one node, after a switchover at the other one, and on both
 * disks, which have the same; and what was closed is nowhere.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { messageOf } from '../../src/core/errors.js';
import type { SimRandom } from '../simulation/world/random.js';
import { Hosts } from '../support/hosts.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  ROLES,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { Patience } from '../support/patience.js';
import { Load, SERVICES } from './load.js';
import { Workers } from './workers.js';

export interface Bound {
  readonly cycles: number;
  readonly forMs: number;
  /** In network namespaces, whose cables are cut. */
  readonly onHosts: boolean;
}

const HEARTBEAT_MS = 200;
const LONG_STOP_MS = 10_000;
/** Between faults. */
const STEPS_MAX = 600;
const PATIENCE_MS = 3000;
/**
 * All faults end, and the nodes catch up: while clients keep the active node busy, at a quarter of its
 * speed (D20). 10 s on an idle machine; more than a minute was seen on a busy one.
 */
const HEALING_MS = 300_000;
const PROGRESS_EVERY_CYCLES = 10;

export const SETS = [
  'broker.heartbeatIntervalMs=500',
  'titanic.maxAttempts=1000',
  'titanic.retryBaseMs=10',
  'titanic.retryMaxMs=100',
  'log.level=info',
];

interface Fault {
  readonly name: string;
  readonly run: (hurt: Hurt) => Promise<void>;
}

/** The faults of a pair. */
class Hurt {
  readonly pair: PairOfDaemons;
  readonly random: SimRandom;
  readonly #hosts: Hosts | null;

  /** @param hosts where the nodes are; `null`: here, with a relay between them */
  constructor(pair: PairOfDaemons, hosts: Hosts | null, random: SimRandom) {
    this.pair = pair;
    this.#hosts = hosts;
    this.random = random;
  }

  /** The active node if it is known, or else any node. */
  async active(): Promise<PairRole> {
    for (const role of ROLES) {
      const seen = await this.pair.look(role);
      if (seen?.state === 'active') return role;
    }
    return this.random.pick(ROLES);
  }

  async kill(...roles: readonly PairRole[]): Promise<void> {
    await Promise.all(roles.map((role) => this.pair.node(role).kill()));
    // Some clients never notice that a node was away.
    await this.away();
    await Promise.all(roles.map((role) => this.#start(role)));
  }

  async stop(role: PairRole): Promise<void> {
    const node = this.pair.node(role);
    node.signal('SIGSTOP');
    await pause(this.random.chance(0.1) ? LONG_STOP_MS : this.heartbeats(0.5, 3));
    node.signal('SIGCONT');
  }

  async terminate(role: PairRole): Promise<void> {
    const { status } = await this.pair.node(role).stop();
    if (status !== 0) throw new Error(`the ${role} ended with ${status} after SIGTERM`);
    await this.away();
    await this.#start(role);
  }

  async cut(): Promise<void> {
    const heal = this.#hosts === null ? this.#cutRelay() : this.#cutCables(this.#hosts);
    await this.away();
    heal();
  }

  #cutRelay(): () => void {
    const { link } = this.pair;
    link.set(this.random.pick(['reset', 'frozen', 'toServer', 'toClient'] as const));
    return () => link.set('open');
  }

  #cutCables(hosts: Hosts): () => void {
    const role = this.random.pick(ROLES);
    const how = this.random.pick(['parts', 'unplugs', 'mutes'] as const);
    if (how === 'parts') hosts.parts();
    else hosts[how](role);
    return () => hosts.heals();
  }

  async away(): Promise<void> {
    await pause(this.heartbeats(0, 6));
  }

  heartbeats(from: number, to: number): number {
    return this.random.int(from * HEARTBEAT_MS, to * HEARTBEAT_MS);
  }

  async #start(role: PairRole): Promise<void> {
    // Sometimes it ends again before it is ready.
    if (this.random.chance(0.1)) {
      const early = this.pair.launch(role);
      await pause(this.random.int(0, 700));
      await early.kill();
    }
    await this.pair.start(role);
  }
}

const KILL_ACTIVE: Fault = {
  name: 'kill the active',
  run: async (hurt) => {
    await hurt.kill(await hurt.active());
  },
};
const CUT: Fault = { name: 'cut the link', run: (hurt) => hurt.cut() };

/** Those that are listed twice happen twice as often. */
const FAULTS: readonly [Fault, ...Fault[]] = [
  KILL_ACTIVE,
  KILL_ACTIVE,
  CUT,
  CUT,
  {
    name: 'kill the other',
    run: async (hurt) => {
      await hurt.kill(otherOf(await hurt.active()));
    },
  },
  { name: 'kill both', run: (hurt) => hurt.kill(...ROLES) },
  {
    name: 'stop the active',
    run: async (hurt) => {
      await hurt.stop(await hurt.active());
    },
  },
  {
    name: 'stop the other',
    run: async (hurt) => {
      await hurt.stop(otherOf(await hurt.active()));
    },
  },
  {
    name: 'stop the active and cut the link',
    run: async (hurt) => {
      await Promise.all([hurt.stop(await hurt.active()), hurt.cut()]);
    },
  },
  {
    name: 'switchover',
    run: async (hurt) => {
      await hurt.pair.switchover(await hurt.active());
    },
  },
  {
    name: 'switchover and kill',
    run: async (hurt) => {
      const active = await hurt.active();
      const order = hurt.pair.switchover(active, PATIENCE_MS);
      await pause(hurt.random.int(0, HEARTBEAT_MS));
      await hurt.kill(hurt.random.pick(ROLES));
      await order;
    },
  },
  {
    name: 'SIGTERM of the active',
    run: async (hurt) => {
      await hurt.terminate(await hurt.active());
    },
  },
  {
    name: 'SIGTERM of the other',
    run: async (hurt) => {
      await hurt.terminate(otherOf(await hurt.active()));
    },
  },
];

async function untilSteps(steps: () => number, more: number): Promise<void> {
  const enough = steps() + more;
  const deadline = Date.now() + PATIENCE_MS;
  while (steps() < enough && Date.now() < deadline) await pause(5);
}

export async function checkAll(pair: PairOfDaemons, load: Load): Promise<string> {
  await pair.atBoth(() => load.check());
  load.receipts.throwIfLost();
  const { differences, uuids } = await pair.rest();
  if (differences.length > 0) throw new Error(`the disks differ: ${differences.join('; ')}`);
  const strangers = load.receipts.compare(uuids);
  load.receipts.throwIfLost();
  return `both disks have the same ${uuids.size} requests, ${strangers} of them stored twice (D17)`;
}

function countOf(pair: PairOfDaemons, event: string, reason = ''): number {
  return pair.logged(event).filter((line) => String(line['reason']).includes(reason)).length;
}

export async function hurtPair(
  { cycles, forMs, onHosts }: Bound,
  random: SimRandom,
  say: (text: string) => void,
): Promise<string> {
  const hosts = onHosts ? Hosts.connect() : null;
  const options = { heartbeatIntervalMs: HEARTBEAT_MS, sets: SETS };
  const pair = await startPairOfDaemons(options, hosts);
  const hurt = new Hurt(pair, hosts, random);
  const load = new Load(pair.endpoints, random);
  const workers = new Workers(pair.endpoints, SERVICES, random);
  const steps = (): number => load.receipts.count + workers.answered;
  const began = Date.now();
  load.start();
  workers.start();
  let done = 0;
  for (; done < cycles && Date.now() - began < forMs; done++) {
    const { name, run } = random.pick(FAULTS);
    try {
      await run(hurt);
    } catch (error) {
      const why = `cycle ${done + 1}, ${name}: ${messageOf(error)}\n${pair.history()}`;
      throw new Error(why, { cause: error });
    }
    if (random.chance(0.5)) await pair.inSync(new Patience(HEALING_MS));
    await untilSteps(steps, random.int(0, STEPS_MAX));
    load.receipts.throwIfLost();
    if (done % PROGRESS_EVERY_CYCLES === PROGRESS_EVERY_CYCLES - 1) {
      say(`${done + 1} cycles, the last ${name}: ${load.receipts.told}`);
    }
  }
  await pair.inSync(new Patience(HEALING_MS));
  await load.stop();
  await workers.settle();
  const disks = await checkAll(pair, load);
  await load.close();
  await workers.close();
  const seconds = Math.round((Date.now() - began) / 1000);
  const failed = [...load.failures].map(([code, count]) => `${count} × ${code}`).join(', ');
  if (failed !== '') say(`never acknowledged: ${failed}`);
  return (
    `${done} faults in ${seconds} s, ${countOf(pair, 'ha.changed', 'a client sent a request')} failovers, ` +
    `${countOf(pair, 'ha.split')} splits, ${workers.answered} runs; ${disks}: ` +
    `${load.receipts.count} receipts checked at both nodes, and none was lost`
  );
}
