/**
 * The indexes of requests and of ranked records by change, which every commit writes and only a
 * node of a pair reads. They are made when the store is opened on such a node, and dropped when it
 * is opened on a standalone one.
 */
import type Database from 'better-sqlite3';

import { failureOf } from './sqlite-errors.js';

export const MAKE_PAIR_INDEX = `CREATE INDEX IF NOT EXISTS requests_by_change ON requests (changed);
  CREATE INDEX IF NOT EXISTS ranked_by_change ON ranked (changed)`;
const DROP = 'DROP INDEX IF EXISTS requests_by_change; DROP INDEX IF EXISTS ranked_by_change';

/** On a full disk they stay as they are: without them, what the other node lacks is read by sorting. */
export function fitPairIndex(db: Database.Database, path: string, isPaired: boolean): void {
  try {
    db.exec(isPaired ? MAKE_PAIR_INDEX : DROP);
  } catch (error) {
    if (failureOf(path, error).kind !== 'full') throw error;
  }
}
