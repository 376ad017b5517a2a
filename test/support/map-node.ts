/**
 * A node of the map in the process of a test: the real machine, its ports, a store in memory. Two of them
 * make a pair, whose passive node follows what the active one commits.
 */
import { monotonicMs } from '../../src/core/clock.js';
import { GlobSet } from '../../src/core/glob.js';
import { Holdings } from '../../src/core/holdings.js';
import { MapHost } from '../../src/extensions/map/host.js';
import type { RankedOutcome } from '../../src/store/ranked.js';
import type { StoreFailure } from '../../src/store/store.js';
import type { MapRecord } from '../../src/extensions/map/machine/record.js';
import type { ListenerCurve } from '../../src/zmtp/listener-curve.js';
import { MapRows } from './map-rows.js';

export interface MapNodeOptions {
  /** P; 0: any. */
  readonly port?: number;
  /** What survives it. */
  readonly tables?: MapRows;
  readonly curve?: ListenerCurve;
}

const LIMITS = {
  messageBytesMax: 16_777_216,
  framesMax: 64,
  outputBytesMax: 67_108_864,
  connectionsMax: 10_000,
  connectionsPerIdentityMax: 10_000,
  receiveBytesMax: 67_108_864,
};
const BYTES_MAX = 268_435_456;
const LIST_MAX = 1000;
/** Transactions of a later node have higher numbers. */
const OPENING_TRANSACTIONS = 2 ** 32;
let openings = 0;

export class MapNode {
  readonly host: MapHost;
  readonly tables: MapRows;
  /** Follows what this one commits. */
  follower: MapNode | null = null;
  /** Nothing is committed while it is true. */
  isStuck = false;
  /** How often a client has asked it while it did not serve. */
  votes = 0;
  readonly #waiting: (readonly [changes: readonly MapRecord[], outcome: RankedOutcome])[] = [];
  #number: number;
  #timer: NodeJS.Timeout | null = null;
  #turn: NodeJS.Immediate | null = null;

  static async open(options: MapNodeOptions = {}): Promise<MapNode> {
    const node = new MapNode(options);
    const { port = 0, curve } = options;
    node.host.machine.open();
    await node.host.listen({
      endpoint: `tcp://127.0.0.1:${port}`,
      limits: LIMITS,
      ...(curve === undefined ? {} : { curve }),
    });
    node.#wake();
    return node;
  }

  private constructor({ tables = new MapRows() }: MapNodeOptions) {
    this.tables = tables;
    this.#number = ++openings * OPENING_TRANSACTIONS;
    this.host = new MapHost({
      bytesMax: BYTES_MAX,
      rightsOf: () => ({ client: GlobSet.all, worker: GlobSet.all }),
      holdings: new Holdings(),
      replica: {
        refusal: null,
        commit: (changes, outcome) => {
          this.#waiting.push([changes, outcome]);
          this.#wake();
          return false;
        },
      },
      store: {
        listMap: (after, completion) => {
          setImmediate(() => {
            completion.done(tables.list(after, LIST_MAX));
            this.#wake();
          });
        },
      },
      events: { emit: () => undefined },
      wake: () => this.#wake(),
    });
    this.host.voted = () => {
      this.votes++;
    };
  }

  get endpoint(): string {
    return this.host.ports?.endpoint ?? '';
  }

  activate(epoch: number): this {
    this.host.activate(epoch);
    return this;
  }

  deactivate(): void {
    this.host.deactivate();
  }

  /** Ends the connections of its readers. */
  cut(): void {
    this.host.ports?.closeSubscribers();
  }

  commitAll(): void {
    this.isStuck = false;
    this.#wake();
  }

  /** All that waits for the store fails. */
  failAll(failure: StoreFailure): void {
    for (const [, outcome] of this.#waiting.splice(0)) outcome.failed(failure);
    this.#wake();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.isStuck = true;
    await this.host.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#turn !== null) clearImmediate(this.#turn);
  }

  /** A turn is due. */
  #wake(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = null;
      this.#run();
    });
  }

  #run(): void {
    const now = monotonicMs();
    this.host.setTime(now);
    if (!this.isStuck) this.#commit();
    this.host.run(now);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const dueMs = this.host.dueInMs(monotonicMs());
    if (dueMs <= 0 || (this.#waiting.length > 0 && !this.isStuck)) this.#wake();
    else if (dueMs < Infinity) this.#timer = setTimeout(() => this.#wake(), Math.ceil(dueMs));
  }

  #commit(): void {
    for (const [changes, outcome] of this.#waiting.splice(0)) {
      const number = this.#number++;
      this.tables.change({ number, tombstones: 'none', holds: null, peerHolds: 0 }, changes);
      outcome.done(null);
      this.follower?.host.machine.followed(changes);
    }
  }
}
