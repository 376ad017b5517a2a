/** What is read of a store, over one connection. */
import { kindOfNumber } from '../../store/record-kind.js';
import { present } from '../../core/assert.js';
import { MajordomoError } from '../../core/errors.js';
import { codedReason } from '../../wire/failure.js';
import { unpackFailure } from '../../store/failure-codec.js';
import { storedContent } from '../../store/fields.js';
import { requestFrom } from '../../store/request.js';
import { RowReader } from '../../store/rows.js';
import {
  type Found,
  type Owner,
  type RequestUuid,
  STATES,
  type StoredContent,
  type StoredRequest,
} from '../../store/store.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { CLAIMED_OF, COUNT, COUNT_KEYS, LIST, LIST_KEPT, LOAD, LOOK_UP, PART } from './reads.js';
import { PENDING, REPLIED, REQUEST_BODY, SCHEMA } from './schema.js';
import { type Delta, keysDelta, Tally } from '../../store/tally.js';
import { int4s, int8s, uuids } from './values.js';
import { refuseNewer } from './migrate.js';
import { setWholeTables } from './server.js';

/** Number of pending requests reported at once. */
const LISTED_REQUESTS = 4096;

export interface Asked {
  readonly uuid: RequestUuid;
  readonly replyBytesMax: number;
}

/** What is kept of a request in one generation: its body, or its reply. */
export interface BodyKey {
  readonly uuid: RequestUuid;
  readonly kind: typeof REQUEST_BODY | typeof REPLIED;
  readonly generation: number;
}

/** A piece of what is too large for one, and how long all of it is. */
export interface Part {
  readonly bytes: number;
  readonly part: Buffer;
}

export async function part(
  connection: Connection,
  { uuid, kind, generation }: BodyKey,
  done: number,
): Promise<Part | null> {
  const [row] = await connection.run(PART, [uuid, kind, generation, done + 1]);
  return row === undefined ? null : { bytes: row[0] as number, part: row[1] as Buffer };
}

/**
 * Reads what is too large for one piece.
 * @param next reads what follows what is `done`
 * @returns `null` if it is not there any more
 */
export async function inParts(
  next: (done: number) => Promise<Part | null>,
): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  for (let done = 0, all = Infinity; done < all;) {
    const read = await next(done);
    if (read === null) return null;
    parts.push(read.part);
    done += read.part.length;
    all = read.bytes;
  }
  return Buffer.concat(parts);
}

/** A reply that is to be read in parts. */
export interface LargeReply {
  readonly bodyKey: BodyKey;
  /** The answer without the reply. */
  readonly found: Extract<Found, { readonly state: 'replied' }>;
}

export type LookedUp = readonly (Found | LargeReply)[];

export async function lookUp(connection: Connection, asked: readonly Asked[]): Promise<LookedUp> {
  const answers: (Found | LargeReply)[] = asked.map(() => ({ state: 'absent' }));
  const rows = await connection.run(LOOK_UP, [
    int4s(asked.map((_, n) => n)),
    uuids(asked.map(({ uuid }) => uuid)),
    int8s(asked.map(({ replyBytesMax }) => Math.min(replyBytesMax, Number.MAX_SAFE_INTEGER))),
  ]);
  for (const row of rows) {
    const place = row[0] as number;
    const { uuid, replyBytesMax } = present(asked[place], 'what was asked');
    const found = foundIn(row);
    const isLarge = found.state === 'replied' && found.reply === null;
    const generation = row[5] as number;
    answers[place] =
      isLarge && found.replyBytes <= replyBytesMax
        ? { bodyKey: { uuid, kind: REPLIED, generation }, found }
        : found;
  }
  return answers;
}

function foundIn(row: Row): Found {
  const [, state, owner, shared, replyBytes, , frames, failure] = row;
  const whose = { owner: String(owner) as Owner, isShared: shared === true };
  if (state === PENDING) return { state: 'pending', ...whose };
  if (state === REPLIED) {
    const reply = frames as Buffer | null;
    return { state: 'replied', reply, replyBytes: replyBytes as number, ...whose };
  }
  const reason = String(frames);
  const reported = unpackFailure(failure as Buffer | null);
  // Only if it died of that.
  const isCause = reported !== null && codedReason(reported) === reason;
  return { state: 'dead', reason, failure: isCause ? (failure as Buffer) : null, ...whose };
}

/** A body that is to be read in parts, and what is kept beside it. */
export interface LargeContent {
  readonly bodyKey: BodyKey;
  readonly extra: Buffer | null;
}

export async function load(
  connection: Connection,
  asked: readonly RequestUuid[],
): Promise<(StoredContent | LargeContent | null)[]> {
  const bodies: (StoredContent | LargeContent | null)[] = asked.map(() => null);
  if (asked.length === 0) return bodies;
  for (const row of await connection.run(LOAD, [int4s(asked.map((_, n) => n)), uuids(asked)])) {
    const [n, generation, frames, extra] = row as [number, number, Buffer | null, Buffer | null];
    const uuid = present(asked[n], 'what was asked');
    const bodyKey = { uuid, kind: REQUEST_BODY, generation } as const;
    bodies[n] = frames === null ? { bodyKey, extra } : storedContent(frames, extra);
  }
  return bodies;
}

export async function list(connection: Connection, after: number): Promise<StoredRequest[]> {
  return (await connection.run(LIST, [after, LISTED_REQUESTS])).map(pendingIn);
}

export async function listKept(connection: Connection, after: number): Promise<StoredRequest[]> {
  return (await connection.run(LIST_KEPT, [after, LISTED_REQUESTS])).map(pendingIn);
}

export async function claimedOf(
  connection: Connection,
  asked: readonly RequestUuid[],
  session: number,
): Promise<StoredRequest[]> {
  return (await connection.run(CLAIMED_OF, [uuids(asked), session])).map(pendingIn);
}

/** A row of `pendingColumns`. */
export function pendingIn(row: Row): StoredRequest {
  return requestFrom(new RowReader(row, 1, row[0] as readonly number[]));
}

/** The claim in a row of `pendingColumns`. */
export function claimIn(row: Row): number {
  return (row[0] as readonly number[]).at(-1) ?? 0;
}

export async function count(connection: Connection): Promise<Tally> {
  await connection.ask('BEGIN');
  return await countSnapshot(connection);
}

export async function newestAt(connection: Connection): Promise<number> {
  const [row] = await connection.ask(
    `SELECT accepted_at FROM ${SCHEMA}.request ORDER BY id DESC LIMIT 1`,
  );
  return (row?.[0] ?? 0) as number;
}

export async function snapshot(connection: Connection): Promise<void> {
  await connection.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await connection.ask('SELECT 1');
}

/** Counts what the store holds, in a transaction that is open, and ends it. */
export async function countSnapshot(connection: Connection): Promise<Tally> {
  // The only statements that are meant to scan tables.
  await setWholeTables(connection, 'on');
  const rows = await connection.ask(COUNT);
  const content = rows.map(
    ([service, owner, kind, state, isRetrying, requests, bytes, replyBytes]): Delta => ({
      service: service as Buffer,
      owner: String(owner) as Owner,
      kind: kindOfNumber(Number(kind)),
      state: STATES[(state as number) - PENDING] ?? 'pending',
      isRetrying: isRetrying === true,
      requests: requests as number,
      bytes: (bytes as number) + (replyBytes as number),
    }),
  );
  const keys = await connection.ask(COUNT_KEYS);
  const ofKeys = keys.map(([owner, bytes]) => keysDelta(String(owner) as Owner, bytes as number));
  await connection.ask('COMMIT');
  return new Tally([...content, ...ofKeys]);
}

export async function mustBeStore(
  connection: Connection,
  name: string,
  known: string,
): Promise<void> {
  const [row] = await connection.ask(`SELECT store_id, format FROM ${SCHEMA}.meta`);
  const [storeId, format] = row as [Buffer, number];
  if (storeId.toString('hex') !== known) throw otherStore(name, storeId, known);
  refuseNewer(format);
}

/** @param storeId `null`: there is none */
export function otherStore(name: string, storeId: Buffer | null, known: string): MajordomoError {
  const found =
    storeId === null ? 'is empty' : `is another store, with the id ${storeId.toString('hex')}`;
  const text = `store ${name} ${found}: the data directory remembers ${known}. Probably titanic.store names the wrong database: correct it. If this one is to be used from now on, start once with --new-store: receipts of the other are then unknown.`;
  return new MajordomoError('ERR_TITANIC_LOST', text);
}
