/** What a store file contains, counted when it is opened. From then on the counts are in memory. */
import type Database from 'better-sqlite3';

import { ONCE_KEY_BYTES, ONCE_KEY_GLOB } from '../../../wire/tsp.js';
import { KEY_BYTES, KEY_COPIES, type Owner } from '../../store.js';
import { type Delta, keysDelta, Tally } from '../../tally.js';
import { kindOfNumber } from '../../record-kind.js';
import { PENDING } from '../file/schema.js';
import { STATE_NAMES } from './statements.js';

const REQUESTS = `SELECT service, owner, kind, state, state = ${PENDING} AND attempts > 0 AS isRetrying,
    count(*) AS requests, sum(body_bytes + reply_bytes + coalesce(length(extra), 0)) AS bytes
  FROM requests GROUP BY service, owner, kind, state, isRetrying`;

const KEYS = `SELECT owner, sum(${KEY_BYTES} + ${KEY_COPIES} * (length(service) + length(key))) AS bytes
  FROM keys WHERE length(key) <> ${ONCE_KEY_BYTES} OR CAST(key AS TEXT) NOT GLOB '${ONCE_KEY_GLOB}'
  GROUP BY owner`;

type Counted = Omit<Delta, 'kind' | 'state' | 'isRetrying'> &
  Record<'kind' | 'state' | 'isRetrying', number>;

interface Content {
  readonly tally: Tally;
  readonly tombstones: number;
}

/** Reads all requests and keys once, without bodies and replies. */
export function countContent(db: Database.Database): Content {
  const requests = db.prepare<[], Counted>(REQUESTS).all();
  const keys = db.prepare<[], { owner: Owner; bytes: number }>(KEYS).all();
  const tally = new Tally([
    ...requests.map(({ kind, state, isRetrying, ...counted }) => ({
      ...counted,
      kind: kindOfNumber(kind),
      state: STATE_NAMES[state] ?? 'pending',
      isRetrying: isRetrying === 1,
    })),
    ...keys.map(({ owner, bytes }) => keysDelta(owner, bytes)),
  ]);
  const tombstones = Number(db.prepare('SELECT count(*) FROM tombstones').pluck().get());
  return { tally, tombstones };
}
