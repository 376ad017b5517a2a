/**
 * Limits how much a turn of the event loop reads, per connection and in total (D76).
 *
 * A message costs one unit, and so does each KiB received or answered; if many messages took longer
 * than 2 µs each, their time counts instead. After `READ_MS_MAX`, or `ANSWERS_BYTES_MAX` of
 * answers, the remaining messages wait.
 *
 * A connection with little data is read as soon as it arrives. One that exceeds `CONNECTION_COST`
 * in a turn, or arrives when the turn's budget is spent, waits in the queue: its socket is not
 * read (TCP slows its peer down), and data already read waits. Between two turns the queue is served
 * a slice at a time: identities take turns, and so do the connections of each identity, so opening
 * many connections gains nothing. A connection that cost much there and has more data while others
 * are in the queue goes to the end: only connections with little data pass the queue. So a turn has a
 * bounded length, whatever the peers send.
 */

import { ITEMS_TIMED } from '../connection/connection.js';
import { TurnQueue, type Waiting } from '../../core/turn-queue.js';

/** Budget of one connection in one turn. */
const CONNECTION_COST = 1024;
/** Budget of all connections in one turn, without the queue. */
const TURN_COST = 4096;
/** Budget of the queue between two turns. */
const LINE_COST = 512;
/** Budget of one connection served from the queue. */
const SLICE_COST = 128;
/** Fixed cost of serving a connection from the queue, in addition to its messages. */
const SERVED_COST = 16;
/** A connection that cost less than this in the queue need not queue again. */
const LIGHT_COST = 64;
/** The end of the turn is scheduled only above this cost, so that light reads do not pay for it. */
const NOTED_COST = 256;
/** Bytes that cost as much as one message: 2^10. */
const BYTES_SHIFT = 10;
const UNITS_PER_MS = 500;
/** Time for one connection's share of a turn: the messages after it wait for the next turn. */
export const READ_MS_MAX: number = CONNECTION_COST / UNITS_PER_MS;

/** A connection that takes turns. */
export interface Reading extends Waiting {
  readonly turns: TurnsOfOne;
  /**
   * Handles data read from it, up to `itemsMax` messages.
   * @returns their cost: see `costOf`
   */
  proceed(itemsMax: number): number;
  /** Data that was read waits. */
  readonly hasRest: boolean;
  /** Reads its socket again. */
  resume(): void;
}

/**
 * The cost of the messages handled since a time in milliseconds.
 * @param answered bytes of answers to them
 */
export function costOf(
  items: number,
  answered: number,
  since: number,
  clock: () => number,
): number {
  const cost = items + (answered >> BYTES_SHIFT);
  return items < ITEMS_TIMED ? cost : Math.max(cost, (clock() - since) * UNITS_PER_MS);
}

/** The state of one connection. */
export class TurnsOfOne {
  /** The turn in which it was last read, and its cost in that turn. */
  turn = -1;
  cost = 0;
  isInLine = false;
  /** The cost since the connection joined the queue, including what made it join. */
  queueCost = 0;
  /** The turn in which it left the queue after a high cost. */
  heavyTurn = -2;
}

export class ReadTurns {
  #turn = 0;
  #cost = 0;
  #isEndDue = false;
  readonly #queue = new TurnQueue<Reading>();

  /** How many messages of a connection with new data may be handled now. */
  allowance({ turns }: Reading): number {
    if (turns.turn !== this.#turn) {
      turns.turn = this.#turn;
      turns.cost = 0;
    }
    if (!this.#queue.isEmpty && turns.heavyTurn >= this.#turn - 1) return 0;
    return Math.ceil(Math.max(0, Math.min(CONNECTION_COST - turns.cost, TURN_COST - this.#cost)));
  }

  /**
   * Records that data of a connection arrived and its messages were handled.
   * @param itemsCost see `costOf`
   * @returns whether to read on; if not, it is resumed after its turn in the queue
   */
  took(reading: Reading, itemsCost: number, bytes: number): boolean {
    const { turns } = reading;
    const cost = itemsCost + (bytes >> BYTES_SHIFT);
    turns.cost += cost;
    this.#cost += cost;
    if (this.#cost >= NOTED_COST) this.#endSoon();
    if (!reading.hasRest && turns.cost < CONNECTION_COST) return true;
    if (!turns.isInLine) {
      turns.isInLine = true;
      turns.queueCost = cost;
      this.#queue.append(reading);
    }
    this.#endSoon();
    return false;
  }

  #endSoon(): void {
    if (this.#isEndDue) return;
    this.#isEndDue = true;
    setImmediate(this.#end);
  }

  readonly #end = (): void => {
    this.#isEndDue = false;
    this.#turn++;
    this.#cost = 0;
    if (this.#queue.isEmpty) return;
    let left = LINE_COST;
    while (left > 0) {
      const reading = this.#queue.shift();
      if (reading === undefined) break;
      left -= this.#serve(reading);
    }
    // Even with an empty queue: connections that left it are watched for one more turn.
    this.#endSoon();
  };

  #serve(reading: Reading): number {
    const { turns } = reading;
    const cost = reading.proceed(SLICE_COST) + SERVED_COST;
    turns.queueCost += cost;
    if (reading.hasRest) {
      this.#queue.append(reading);
    } else {
      turns.isInLine = false;
      if (turns.queueCost >= LIGHT_COST) turns.heavyTurn = this.#turn;
      reading.resume();
    }
    return cost;
  }
}
