/** The statements that claim requests, and give claims back. */
import { storedContent } from '../../store/fields.js';
import type { ClaimedRequest, Release, RequestUuid, Wanted } from '../../store/store.js';
import type { Row } from './changes.js';
import type { Connection } from './connection.js';
import { claimIn, pendingIn } from './reader.js';
import { type FenceValue, fenceValue } from './session.js';
import { CLAIM, CLAIM_TURNS, FREE_UNKNOWN, RELEASE, type Statement, WAKE } from './statements.js';
import { byteas, claims, int4s, int8s, numbers, uuids } from './values.js';

/** @returns `null`: the fence does not hold */
async function fenced(
  connection: Connection,
  statement: Statement,
  fence: FenceValue,
  values: readonly Buffer[],
): Promise<readonly Row[] | null> {
  const rows = await connection.run(statement, [fenceValue(fence.session, fence.token), ...values]);
  return rows[0]?.[0] === true ? rows : null;
}

export async function claim(
  connection: Connection,
  fence: FenceValue,
  wanted: readonly Wanted[],
): Promise<ClaimedRequest[] | null> {
  const rows = await fenced(connection, CLAIM, fence, [
    byteas(wanted.map(({ service }) => service)),
    int8s(wanted.map(({ most }) => most)),
    int4s(wanted.map(({ isSchedules }) => (isSchedules ? 1 : 0))),
  ]);
  if (rows === null) return null;
  const claimed = rows.flatMap((row) => claimedIn(row, false));
  const places = rows[0]?.[1] as readonly number[] | null;
  if (places === null) return claimed;
  const turns = await claimTurns(
    connection,
    fence,
    wanted.filter((_, at) => places.includes(at + 1)),
  );
  return turns && [...claimed, ...turns];
}

/** Claims requests of services that have groups. */
async function claimTurns(
  connection: Connection,
  fence: FenceValue,
  wanted: readonly Wanted[],
): Promise<ClaimedRequest[] | null> {
  const held = wanted.flatMap(({ turns }, at) => turns.held.map((own) => ({ own, at: at + 1 })));
  const rows = await fenced(connection, CLAIM_TURNS, fence, [
    byteas(wanted.map(({ service }) => service)),
    int8s(wanted.map(({ most }) => most)),
    int8s(wanted.map(({ turns }) => turns.each)),
    byteas(wanted.map(({ turns }) => turns.after)),
    int8s(held.map(({ at }) => at)),
    byteas(held.map(({ own }) => own)),
  ]);
  return rows?.flatMap((row) => claimedIn(row, true)) ?? null;
}

export async function release(
  connection: Connection,
  fence: FenceValue,
  released: readonly Release[],
): Promise<Release[] | null> {
  const rows = await fenced(connection, RELEASE, fence, [
    numbers(released.map((_, n) => [n])),
    uuids(released.map(({ uuid }) => uuid)),
    claims(released.map((each) => each.claim)),
  ]);
  return rows?.flatMap(lockedIn) ?? null;
}

export async function freeUnknown(
  connection: Connection,
  fence: FenceValue,
  known: readonly Release[],
): Promise<Release[] | null> {
  const rows = await fenced(connection, FREE_UNKNOWN, fence, [
    uuids(known.map(({ uuid }) => uuid)),
    claims(known.map((each) => each.claim)),
  ]);
  return rows?.flatMap(lockedIn) ?? null;
}

export async function wake(connection: Connection, most: number): Promise<void> {
  await connection.run(WAKE, [most]);
}

/** A row of `FREE_UNKNOWN` or `RELEASE`. */
function lockedIn([, uuid, claimed]: Row): Release[] {
  if (uuid === null) return [];
  return [{ uuid: uuid as RequestUuid, claim: claimed as number }];
}

/** A row of `CLAIM`, or of `CLAIM_TURNS`. */
function claimedIn([, , ...columns]: Row, isTurn: boolean): ClaimedRequest[] {
  const [body, extra] = columns.slice(-2) as [Buffer | null, Buffer | null];
  // The row that tells of the fence has no request: each has a uuid, the first column after its numbers.
  if (columns[1] === null) return [];
  return [
    {
      request: pendingIn(columns),
      claim: claimIn(columns),
      content: body === null ? null : storedContent(body, extra),
      isTurn,
    },
  ];
}
