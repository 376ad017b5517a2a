/**
 * Writers of a pair's map, and a reader beside them. Each key has one writer, which sets it to 1, 2,
 * 3 …, so that what must be there in the end is known: at least the last value whose `set` resolved.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { SharedMap } from '../../src/sdk/map/shared-map.js';
import { freePortsInARow } from './free-ports.js';
import { type PairOfDaemons, type PairOptions, startPairOfDaemons } from './pair-daemons.js';
import { until } from './until.js';
import { PATIENCE_MS } from './patience.js';

/** Ports that a map takes. */
const PORTS = 3;
const LANES = 8;
const PAUSE_MS = 10;
const EVERY_DELETED = 7;

export class MapLoad {
  /** By key: the last value that was acknowledged, and the last one sent; 0: deleted. */
  readonly acknowledged = new Map<string, number>();
  readonly sent = new Map<string, number>();
  readonly errors: string[] = [];
  sets = 0;
  readonly writer: SharedMap;
  readonly reader: SharedMap;
  /** By key: the last value that the reader saw. */
  readonly #seen = new Map<string, number>();
  #lanes: Promise<void>[] = [];
  #isOver = false;

  readonly #pauseMs: number;

  /** @param pauseMs between two changes of a key */
  constructor(endpoints: readonly string[], pauseMs = PAUSE_MS) {
    this.#pauseMs = pauseMs;
    this.writer = new SharedMap({ endpoints: [...endpoints], timeoutMs: PATIENCE_MS });
    this.reader = new SharedMap({ endpoints: [...endpoints], subtree: '/load/' });
  }

  start(): void {
    for (let lane = 0; lane < LANES; lane++) this.#lanes.push(this.#write(`/load/${lane}`));
    this.#lanes.push(this.#watch());
  }

  /** Resolves once this many more changes were acknowledged. */
  async progress(more = 40): Promise<void> {
    const enough = this.sets + more;
    await until(() => this.sets >= enough || this.errors.length > 0, `${more} more sets`);
  }

  /** Starts nothing new; resolves when everything in progress has an outcome. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes.slice(0, LANES));
  }

  async close(): Promise<void> {
    await this.stop();
    await Promise.all([this.writer.close(), this.reader.close()]);
    await Promise.all(this.#lanes);
  }

  /** What is wrong with a map of keys and values. */
  wrong(values: ReadonlyMap<string, string>): string[] {
    return [...this.sent].flatMap(([key, sent]) => {
      const least = this.acknowledged.get(key) ?? 0;
      const value = Number(values.get(key) ?? this.#deletedAt(key, least, sent));
      const isRight = value >= least && value <= sent;
      return isRight ? [] : [`${key} is ${value}, of ${least} to ${sent}`];
    });
  }

  /** The last multiple of seven is a deletion. */
  #deletedAt(_key: string, least: number, sent: number): number {
    const deleted = sent - (sent % EVERY_DELETED);
    return deleted >= least && deleted > 0 ? deleted : 0;
  }

  async #write(key: string): Promise<void> {
    for (let number = 1; !this.#isOver; number++) {
      this.sent.set(key, number);
      try {
        if (number % EVERY_DELETED === 0) await this.writer.delete(key);
        else await this.writer.set(key, String(number));
        this.acknowledged.set(key, number);
        this.sets++;
      } catch (error) {
        this.errors.push(`${key} ${number}: ${codeOf(error) ?? ''} ${messageOf(error)}`);
      }
      await pause(this.#pauseMs);
    }
  }

  /** No reader sees a key go back. */
  async #watch(): Promise<void> {
    for await (const { key, value } of this.reader.changes()) {
      if (value === null) continue;
      const number = Number(value.toString());
      if (number < (this.#seen.get(key) ?? 0)) {
        this.errors.push(`${key} went back to ${number} from ${this.#seen.get(key)}`);
      }
      this.#seen.set(key, number);
    }
  }
}

/** The keys and values that a shared map has. */
export function contentOf(map: SharedMap): Map<string, string> {
  return new Map([...map.entries()].map(([key, value]) => [key, value.toString()]));
}

/** A pair whose nodes have a map each; `maps` are their endpoints. */
export async function pairWithMap(
  options: PairOptions = {},
): Promise<{ readonly pair: PairOfDaemons; readonly maps: readonly string[] }> {
  const [primary, backup] = [await freePortsInARow(PORTS), await freePortsInARow(PORTS)];
  const maps = [primary, backup].map((port) => `tcp://127.0.0.1:${port}`);
  const setsOf = {
    primary: [`map.listen=${maps[0]}`],
    backup: [`map.listen=${maps[1]}`],
  };
  return { pair: await startPairOfDaemons({ ...options, setsOf }), maps };
}
