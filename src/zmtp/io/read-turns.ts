/**
 * What a turn of the event loop may read, of each connection and of all together (D76).
 *
 * A message costs one unit, and so does a KiB that comes or is answered; many messages that took longer
 * than 2 µs each, what they took. After `READ_MS_MAX`, or `ANSWERS_BYTES_MAX` of answers,
 * the rest of them waits.
 * Who sends little is read when it comes. Who sends more than
 * `CONNECTION_COST` in a turn, or comes when the turn is spent, stands in line: its socket is not read
 * (TCP slows its peer down), and what has been read of it waits. Between two turns the line is
 * served a slice at a time: identities in turn, and the connections of each in turn, so that it helps
 * nobody to open many. Who had much to be served there, and comes again at once while others stand in
 * line, goes to its end: only those who send little pass it by. So a turn ends at bounded intervals,
 * whoever sends what.
 */

import { ITEMS_TIMED } from '../connection.js';
import { Line, type Waiting } from './line.js';

/** Of one connection in one turn. */
const CONNECTION_COST = 1024;
/** Of all together in one turn, beside the line. */
const TURN_COST = 4096;
/** Of the line, between two turns. */
const LINE_COST = 512;
/** Of one connection that is served from the line. */
const SLICE_COST = 128;
/** Beside its messages. */
const SERVED_COST = 16;
/** Who cost less in line does not have to go there again. */
const LIGHT_COST = 64;
/** So much is read before it is noted when the turn ends: it must not cost those that read little. */
const NOTED_COST = 256;
/** Bytes that cost as much as one message: 2^10. */
const BYTES_SHIFT = 10;
const UNITS_PER_MS = 500;
/** Messages of one connection that take longer than its share of a turn wait for the next one. */
export const READ_MS_MAX: number = CONNECTION_COST / UNITS_PER_MS;

/** A connection that takes turns. */
export interface Reading extends Waiting {
  readonly turns: TurnsOfOne;
  /**
   * Handles what has been read of it, up to so many messages.
   * @returns what they cost: see `costOf`
   */
  proceed(itemsMax: number): number;
  /** Something that was read waits. */
  readonly hasRest: boolean;
  /** Reads its socket again. */
  resume(): void;
}

/**
 * What messages cost that were handled since a time in milliseconds.
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

/** What is known of one connection. */
export class TurnsOfOne {
  /** The turn in which it was read last, and what that has cost. */
  turn = -1;
  cost = 0;
  isInLine = false;
  /** What it has cost since it stands in line, with what brought it there. */
  lineCost = 0;
  /** The turn in which it left the line after having cost much. */
  heavyTurn = -2;
}

export class ReadTurns {
  #turn = 0;
  #cost = 0;
  #isEndDue = false;
  readonly #line = new Line<Reading>();

  /** How many messages of a connection whose bytes have come may be handled at once. */
  allowance({ turns }: Reading): number {
    if (turns.turn !== this.#turn) {
      turns.turn = this.#turn;
      turns.cost = 0;
    }
    if (!this.#line.isEmpty && turns.heavyTurn >= this.#turn - 1) return 0;
    return Math.ceil(Math.max(0, Math.min(CONNECTION_COST - turns.cost, TURN_COST - this.#cost)));
  }

  /**
   * Bytes of a connection came, and messages in them were handled.
   * @param itemsCost as `costOf` has it
   * @returns whether to read on; else it is resumed when it has had its turn
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
      turns.lineCost = cost;
      this.#line.append(reading);
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
    if (this.#line.isEmpty) return;
    let left = LINE_COST;
    while (left > 0) {
      const reading = this.#line.shift();
      if (reading === undefined) break;
      left -= this.#serve(reading);
    }
    // Also with nobody in line: who was in it is watched for a turn.
    this.#endSoon();
  };

  #serve(reading: Reading): number {
    const { turns } = reading;
    const cost = reading.proceed(SLICE_COST) + SERVED_COST;
    turns.lineCost += cost;
    if (reading.hasRest) {
      this.#line.append(reading);
    } else {
      turns.isInLine = false;
      if (turns.lineCost >= LIGHT_COST) turns.heavyTurn = this.#turn;
      reading.resume();
    }
    return cost;
  }
}
