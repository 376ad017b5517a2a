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

/** Does something over a connection, within the time limit of a statement. */
export type Reading = <Result>(
  work: (connection: Connection) => Promise<Result>,
) => Promise<Result>;

/** What is kept of a request in one generation: its body, or its reply. */
export interface BodyKey {
  readonly uuid: RequestUuid;
  readonly kind: typeof REQUEST_BODY | typeof REPLIED;
  readonly generation: number;
}

/**
 * Reads what is too large for one piece: each part within a time limit of its own.
 * @returns `null` if it is not there any more
 */
export async function inParts(
  read: Reading,
  { uuid, kind, generation }: BodyKey,
): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  for (let done = 0, all = Infinity; done < all;) {
    const values = [uuid, kind, generation, done + 1];
    const [row] = await read((connection) => connection.run(PART, values));
    if (row === undefined) return null;
    const [bytes, part] = row as [number, Buffer];
    parts.push(part);
    done += part.length;
    all = bytes;
  }
  return Buffer.concat(parts);
}

/** A reply that is to be read in parts. */
export interface LargeReply {
  readonly bodyKey: BodyKey;
  /** The answer without the reply. */
  readonly found: Extract<Found, { readonly state: 'replied' }>;
}

/** In the order of the questions. */
export type LookedUp = readonly (Found | LargeReply)[];

/** Answers many look-ups with one statement. */
export async function lookUp(read: Reading, asked: readonly Asked[]): Promise<LookedUp> {
  const answers: (Found | LargeReply)[] = asked.map(() => ({ state: 'absent' }));
  const rows = await read((connection) =>
    connection.run(LOOK_UP, [
      int4s(asked.map((_, n) => n)),
      uuids(asked.map(({ uuid }) => uuid)),
      int8s(asked.map(({ replyBytesMax }) => Math.min(replyBytesMax, Number.MAX_SAFE_INTEGER))),
    ]),
  );
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

export async function load(
  read: Reading,
  asked: readonly RequestUuid[],
): Promise<(StoredContent | null)[]> {
  const bodies: (StoredContent | null)[] = asked.map(() => null);
  if (asked.length === 0) return bodies;
  const values = [int4s(asked.map((_, n) => n)), uuids(asked)];
  for (const row of await read((connection) => connection.run(LOAD, values))) {
    const [n, generation, frames, extra] = row as [number, number, Buffer | null, Buffer | null];
    const uuid = present(asked[n], 'what was asked');
    const body = frames ?? (await inParts(read, { uuid, kind: REQUEST_BODY, generation }));
    if (body === null) continue;
    bodies[n] = storedContent(body, extra);
  }
  return bodies;
}

export async function list(connection: Connection, after: number): Promise<StoredRequest[]> {
  return (await connection.run(LIST, [after, LISTED_REQUESTS])).map(pendingIn);
}

export async function listKept(connection: Connection, after: number): Promise<StoredRequest[]> {
  return (await connection.run(LIST_KEPT, [after, LISTED_REQUESTS])).map(pendingIn);
}

/** The requests among `asked` that a session has claimed. */
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

/** Reads every request once, without bodies. */
export async function count(connection: Connection): Promise<Tally> {
  await connection.ask('BEGIN');
  const tally = await countInSnapshot(connection);
  await connection.ask('COMMIT');
  return tally;
}

/** When the newest request was accepted, by its uuid: wall milliseconds; 0: there is none. */
export async function newestAt(connection: Connection): Promise<number> {
  const [row] = await connection.ask(
    `SELECT accepted_at FROM ${SCHEMA}.request ORDER BY id DESC LIMIT 1`,
  );
  return (row?.[0] ?? 0) as number;
}

/** Counts what the store holds, in a transaction that is open. */
export async function countInSnapshot(connection: Connection): Promise<Tally> {
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
  return new Tally([...content, ...ofKeys]);
}

/** @throws ERR_TITANIC_LOST, and closes the connection, if the other end has another store */
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
