/** The run: a pair, what loads it, restarts, samples, and a checker that hears of everything. */
import { setTimeout as pause } from 'node:timers/promises';

import { Client } from '../../src/sdk/client.js';
import { storedPair } from '../../test/support/pair-content.js';
import { Checker, KINDS } from './checker.js';
import { Crew, LOADS } from './crew.js';
import { Pair, TOKEN, until } from './pair.js';
import type { Restart } from './report.js';
import { HOUR_MS, OF_NODE, OF_PROCESS, Series, usedBy } from './samples.js';
import type { Stand } from './voice.js';

/** The intervals of schedules, in seconds. */
const SCHEDULES = [2, 3, 5];
const SAMPLE_MS = 10_000;
const SAMPLES_MIN = 8;
/** Every so many samples the heaps are collected: it takes each process a while. */
const SAMPLES_PER_COLLECTION = 4;
const AWAY_MS = 5000;
/** Clocks of log lines and of messages differ by less, and so long something may still come of a change. */
const CALM_MS = 2000;
/** A split is found out by its end, after some heartbeats. */
const SPLIT_MS = 10_000;
/** What says that nodes have lost sight of each other. */
const CHANGES = /^ha\.(?:changed|disconnected|paused|unsynced)$/;

export class Soak {
  readonly checker: Checker;
  readonly pair: Pair;
  readonly nodes: readonly [Series, Series] = [new Series('A', OF_NODE), new Series('B', OF_NODE)];
  readonly load: readonly Series[] = LOADS.map((name) => new Series(name, OF_PROCESS));
  readonly restarts: Restart[] = [];
  readonly logged = new Map<string, number>();
  readonly #crew: Crew;
  readonly #everyMs: number;
  readonly #stand: Stand;
  #began = 0;
  #tookMs = 0;
  #life = 0;
  #isOver = false;
  #shown = 0;

  static async open(directory: string, everyMs: number): Promise<Soak> {
    const checker = new Checker();
    const crew = await Crew.open(checker);
    return new Soak(checker, crew, await Pair.make(directory, crew.origin), everyMs);
  }

  private constructor(checker: Checker, crew: Crew, pair: Pair, everyMs: number) {
    this.checker = checker;
    this.pair = pair;
    this.#crew = crew;
    this.#everyMs = everyMs;
    this.#stand = {
      endpoints: pair.nodes.map(({ endpoint }) => endpoint),
      maps: pair.nodes.map(({ map }) => map),
      https: pair.nodes.map(({ http }) => http),
      token: TOKEN,
      hooks: crew.origin,
      isGuest: false,
    };
  }

  /** Both nodes, and the processes of the SDK; programs use fetch of Node.js. */
  get judged(): readonly Series[] {
    return [...this.nodes, ...this.load.filter(({ name }) => name !== 'programs')];
  }

  /** How many cores both nodes used together. */
  get cores(): number {
    const seconds = this.nodes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
    return (1000 * seconds) / this.#tookMs;
  }

  async run(forMs: number): Promise<void> {
    const { pair, checker } = this;
    for (const series of [...this.nodes, ...this.load]) series.isLong = forMs >= HOUR_MS;
    await Promise.all(pair.nodes.map((node) => node.start()));
    await pair.handOver();
    this.#crew.start(this.#stand);
    const client = new Client({ endpoints: this.#stand.endpoints });
    for (const seconds of SCHEDULES) {
      const webhook = `${this.#stand.hooks}/tick/${seconds}`;
      const cron = `*/${seconds} * * * * *`;
      await client.schedule(`every ${seconds} s`, 'ticks', 'tick', { cron, webhook });
      checker.scheduled(seconds, Date.now());
    }
    this.#began = performance.now();
    const beside = [this.#sample(), this.#crew.invite(this.#stand, () => this.#isOver)];
    await this.#change(forMs);
    this.#tookMs = performance.now() - this.#began;
    this.#isOver = true;
    this.#crew.takeGap();
    this.#say('the load ends');
    await Promise.all([...beside, this.#crew.stop('clients'), this.#crew.stop('programs')]);
    const stoppedAt = Date.now();
    for (const seconds of SCHEDULES) await client.unschedule(`every ${seconds} s`);
    await client.close();
    await this.#settle();
    this.#say('all webhooks have gone out');
    await this.#rest();
    // Their CPU time counts as that of this process from then on.
    await this.#crew.close();
    this.#readLogs();
    for (const { name, missing } of this.nodes) {
      for (const metric of missing) checker.wrong(`a page of ${name} had no ${metric}`);
    }
    checker.finish(stoppedAt);
  }

  /** Ends everything that still runs. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.#crew.close();
    await Promise.all(this.pair.nodes.map((node) => node.end('SIGKILL')));
  }

  // ---------------------------------------------------------------- what happens to the pair

  /** Restarts of A, and half way between them it is made active again. */
  async #change(forMs: number): Promise<void> {
    const halfMs = this.#everyMs / 2;
    for (let half = 2; half * halfMs < forMs; half++) {
      await this.#until(half * halfMs);
      // A busy machine is late, and takes no longer for that.
      if (performance.now() - this.#began > forMs) return;
      if (half % 2 === 1) await this.#changed('`ha switchover` to A', () => this.pair.handOver());
      else await this.#restart(half % 4 === 2 ? 'SIGTERM' : 'SIGKILL');
    }
    await this.#until(forMs);
  }

  #say(what: string): void {
    const { wrongs, shown, tallies } = this.checker;
    const done = KINDS.reduce((sum, kind) => sum + tallies[kind].done.count, 0);
    const time = new Date().toISOString();
    process.stderr.write(`${time} ${what}; ${done} durable requests done, ${wrongs} wrong\n`);
    for (const text of shown.slice(this.#shown)) process.stderr.write(`  ${text}\n`);
    this.#shown = shown.length;
  }

  async #until(ms: number): Promise<void> {
    await pause(Math.max(0, this.#began + ms - performance.now()));
  }

  async #restart(signal: NodeJS.Signals): Promise<void> {
    const { a } = this.pair;
    await this.#changed(`${signal} of A, which was active`, async () => {
      this.#note(await a.end(signal));
      await pause(Math.min(AWAY_MS, this.#everyMs / 10));
      this.#life++;
      await a.start();
    });
  }

  #note(wrong: string | null): void {
    if (wrong !== null) this.checker.wrong(wrong);
  }

  async #changed(what: string, change: () => Promise<void>): Promise<void> {
    await this.pair.inSync();
    const atMs = performance.now() - this.#began;
    const settled = this.checker.disturbed(Date.now());
    this.#crew.takeGap();
    await change();
    await this.pair.inSync();
    const inSyncMs = performance.now() - this.#began - atMs;
    await pause(CALM_MS);
    settled(Date.now());
    const gapMs = this.#crew.takeGap();
    this.restarts.push({ atMs, what, gapMs, inSyncMs });
    this.#say(`${what}: no reply for ${Math.round(gapMs)} ms`);
  }

  // ---------------------------------------------------------------- what is seen of it

  async #sample(): Promise<void> {
    const everyMs = Math.min(SAMPLE_MS, this.#everyMs / SAMPLES_MIN);
    for (let count = 0; !this.#isOver; count++) {
      const collects = count % SAMPLES_PER_COLLECTION === 0;
      const [life, atMs] = [this.#life, performance.now() - this.#began];
      for (const [at, series] of this.nodes.entries()) {
        const node = this.pair.nodes[at];
        const page = (await node?.metrics()) ?? null;
        const live = collects ? ((await node?.live()) ?? null) : null;
        if (page !== null && life === this.#life) series.take(life, atMs, page, live);
      }
      for (const [at, load] of LOADS.entries()) {
        const used = usedBy(this.#crew.pidOf(load));
        const live = collects ? await this.#crew.liveOf(load) : null;
        const values = { ...used, ...(live === null ? {} : { live }) };
        if (used !== null) this.load[at]?.add({ life, role: '', atMs, values });
      }
      this.#readLogs();
      this.checker.judge(Date.now());
      if (this.checker.shown.length > this.#shown) this.#say('wrong');
      await pause(everyMs);
    }
  }

  #readLogs(): void {
    for (const node of this.pair.nodes) {
      for (const { event = '', level, time } of node.news()) {
        const at = Date.parse(String(time));
        if (CHANGES.test(event)) this.checker.disturbed(at - CALM_MS)(at + CALM_MS);
        if (event === 'ha.split') this.checker.disturbed(at - SPLIT_MS, true)(at + CALM_MS);
        if (level === 'info' || level === 'debug') continue;
        const name = `${event} (${String(level)} of ${node.name})`;
        if (level !== 'warn' && event !== 'ha.split') this.checker.wrong(`the log has ${name}`);
        this.logged.set(name, (this.logged.get(name) ?? 0) + 1);
      }
    }
  }

  // ---------------------------------------------------------------- the end

  /** Waits until every webhook has gone out. */
  async #settle(): Promise<void> {
    const left = async (): Promise<number> => {
      const page = await (await this.pair.inSync()).metrics();
      if (page === null) return Number.NaN;
      return page.value('titanic_requests{service="titanic.webhook",state="pending"}') ?? 0;
    };
    await until(async () => (await left()) === 0, 'all webhooks have gone out').catch(async () => {
      this.checker.wrong(`${await left()} webhooks do not go out`);
    });
  }

  /** Both nodes end, the one that waits first, and their disks have the same. */
  async #rest(): Promise<void> {
    const { pair, checker } = this;
    const active = await pair.inSync();
    for (const node of [...pair.nodes.filter((each) => each !== active), active]) {
      this.#note(await node.end('SIGTERM'));
    }
    const { differences } = storedPair(pair.a.store, pair.b.store);
    for (const difference of differences) checker.wrong(`the disks differ: ${difference}`);
  }
}
