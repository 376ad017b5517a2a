/**
 * The changes that this client has made and not yet seen published: the only acknowledgement that
 * 12/CHP has. Each has a uuid, under which it is sent as often as necessary.
 */
import type { MonotonicMs } from '../../core/clock.js';
import type { RandomFill } from '../../core/random.js';
import { numberedUuids } from '../../wire/chp-client.js';
import { Deadlines, type DueQueue, type Timed } from '../client/deadlines.js';
import { type MajordomoError, sdkError } from '../errors.js';

/** What `set` or `delete` asks for. */
export interface ChangeRequest {
  readonly key: Buffer;
  readonly properties: Buffer;
  /** Empty: the key is deleted. */
  readonly value: Buffer;
  readonly timeoutMs: number;
  /** Called once. @param error `null`: the change is safe */
  readonly settled: (error: MajordomoError | null) => void;
}

/** A change that is not settled. */
export class OwnChange implements Timed<OwnChange> {
  readonly request: ChangeRequest;
  readonly uuid: Buffer;
  /** The key as Latin-1. */
  readonly name: string;
  /** How often it was sent, to all nodes together. */
  sends = 0;
  /** The change was seen published, but the map does not show it before the next snapshot. */
  isSafe = false;
  dueMs: MonotonicMs = 0;
  lookMs: MonotonicMs = 0;
  dueQueue: DueQueue<OwnChange> | null = null;
  dueBefore: OwnChange | null = null;
  dueAfter: OwnChange | null = null;

  constructor(request: ChangeRequest, uuid: Buffer) {
    this.request = request;
    this.uuid = uuid;
    this.name = request.key.toString('latin1');
  }

  get bytes(): number {
    const { key, properties, value } = this.request;
    return key.length + properties.length + value.length;
  }
}

/** The bytes of all of them, which are kept to be sent again. */
const BYTES_MAX = 67_108_864;

export class OwnChanges {
  readonly #countMax: number;
  /** Makes the uuids of one writer, each higher than the last. */
  readonly #nextUuid: () => Buffer;
  /** Changes that are not settled, by uuid, in the order in which they were made. */
  readonly #waiting = new Map<string, OwnChange>();
  /** Changes that are not settled, by key, in that order. */
  readonly #ofKey = new Map<string, OwnChange[]>();
  readonly #deadlines = new Deadlines<OwnChange>();
  #bytes = 0;

  constructor(countMax: number, random: RandomFill) {
    this.#countMax = countMax;
    this.#nextUuid = numberedUuids(random);
  }

  /** Changes that are not settled, in the order in which they were made. */
  get waiting(): Iterable<OwnChange> {
    return this.#waiting.values();
  }

  get size(): number {
    return this.#waiting.size;
  }

  get dueAt(): MonotonicMs {
    return this.#deadlines.nextMs();
  }

  /** @returns `null`: there are too many */
  add(request: ChangeRequest, now: MonotonicMs): OwnChange | null {
    const change = new OwnChange(request, this.#nextUuid());
    if (this.#waiting.size >= this.#countMax) return null;
    if (this.#waiting.size > 0 && this.#bytes + change.bytes > BYTES_MAX) return null;
    this.#bytes += change.bytes;
    this.#waiting.set(change.uuid.toString('latin1'), change);
    const others = this.#ofKey.get(change.name);
    if (others === undefined) this.#ofKey.set(change.name, [change]);
    else others.push(change);
    this.#deadlines.set(change, now, request.timeoutMs);
    return change;
  }

  /**
   * A change was published with this uuid.
   * @param isShown the map shows it
   */
  published(name: string, uuid: string, isShown: boolean): void {
    const change = this.#waiting.get(uuid);
    if (change === undefined) return;
    // Nodes take changes in order, so earlier ones of the same key were overwritten by this one. A
    // node that was not active has dropped them. (Published with another key, it is none of them.)
    const ofKey = this.#ofKey.get(name) ?? [];
    for (const each of ofKey.slice(0, ofKey.indexOf(change) + 1)) {
      if (isShown) this.settle(each, null);
      else each.isSafe = true;
    }
  }

  /** The map shows all that were published. */
  shown(): void {
    for (const change of [...this.#waiting.values()]) if (change.isSafe) this.settle(change, null);
  }

  /** Settles those whose time is over. */
  run(now: MonotonicMs): void {
    for (
      let due = this.#deadlines.takeDue(now);
      due !== undefined;
      due = this.#deadlines.takeDue(now)
    ) {
      this.settle(due, notConfirmed(due));
    }
  }

  settle(change: OwnChange, error: MajordomoError | null): void {
    // The change may be settled.
    if (!this.#waiting.delete(change.uuid.toString('latin1'))) return;
    this.#bytes -= change.bytes;
    this.#deadlines.clear(change);
    const left = (this.#ofKey.get(change.name) ?? []).filter((each) => each !== change);
    if (left.length === 0) this.#ofKey.delete(change.name);
    else this.#ofKey.set(change.name, left);
    change.request.settled(error);
  }

  /** Settles all of them. */
  end(error: MajordomoError): void {
    for (const change of [...this.#waiting.values()]) this.settle(change, error);
  }
}

/** Where no node serves a map. */
export const MAP_TO_CHECK =
  'does the broker keep a map (its key map.listen), and is that its endpoint, and not that of broker.listen?';

function notConfirmed({ request: { key, timeoutMs }, sends }: OwnChange): MajordomoError {
  const details = { key: key.toString('utf8'), sends };
  if (sends === 0) {
    const text = `no node of the map took a change within ${timeoutMs} ms: nothing was sent; ${MAP_TO_CHECK}`;
    return sdkError('ERR_MDP_UNREACHABLE', text, { details });
  }
  const text =
    `the map did not show the change within ${timeoutMs} ms: it may be made or not; ` +
    'nodes do not answer what they refuse (rights, limits.mapBytes)';
  return sdkError('ERR_MDP_TIMEOUT', text, { details });
}
