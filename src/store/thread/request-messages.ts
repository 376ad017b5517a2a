/** Stored requests between the threads of a node: the fields of each, in the order of the table. */
import { PackReader, PackWriter } from '../../core/value-bytes.js';
import { maybe, NUMBER, TEXT } from '../../core/shapes.js';
import { type ListedRequest, REASON_CHARACTERS_MAX } from '../queries.js';
import { putRequest, REQUEST_ROWS, requestFrom, type StoredRequest } from '../request.js';
import type { Cell } from '../rows.js';

/** The columns of a request in their order, bytes as hexadecimal digits. */
export type PendingRow = readonly (string | number)[];
/** Like `PendingRow`, with two columns behind: why it is dead, or its last kept attempt failed, and when. */
export type ListedRow = readonly Cell[];

const REQUEST_BYTES = 256;
const COLUMNS = REQUEST_ROWS.map(({ as }) => as);
const REASON = maybe(TEXT);
const REASON_AT = maybe(NUMBER);

/** Packs the columns of a request. Bytes may be hexadecimal digits; text may be bytes. */
function packRow(to: PackWriter, row: readonly Cell[]): void {
  for (let at = 0; at < COLUMNS.length; at++) {
    const cell = row[at] ?? 0;
    if (COLUMNS[at] === 'number') to.number(Number(cell));
    else if (COLUMNS[at] === 'text') to.text(String(cell));
    else if (typeof cell === 'string') to.hex(cell);
    else to.bytes(cell as Buffer);
  }
}

export function packPending(to: PackWriter, rows: readonly PendingRow[]): void {
  to.number(rows.length);
  for (const row of rows) packRow(to, row);
}

/** Packs what `packPending` packs. */
export function packRequests(to: PackWriter, requests: readonly StoredRequest[]): void {
  to.number(requests.length);
  for (const request of requests) putRequest(to, request);
}

export function unpackPending(from: PackReader): StoredRequest[] {
  return Array.from({ length: from.number() }, () => requestFrom(from));
}

/** @param rows a reason that is bytes may be longer than what is shown */
export function packListed(rows: readonly ListedRow[]): Buffer {
  const to = new PackWriter(rows.length * REQUEST_BYTES);
  for (const row of rows) {
    packRow(to, row);
    const [reason, at] = row.slice(COLUMNS.length) as [string | Buffer | null, number | null];
    const shown = Buffer.isBuffer(reason)
      ? reason.toString().slice(0, REASON_CHARACTERS_MAX)
      : reason;
    REASON.put(to, shown);
    REASON_AT.put(to, at);
  }
  return to.takeBuffer();
}

export function unpackListed(packed: Buffer): ListedRequest[] {
  const from = new PackReader(packed);
  const listed: ListedRequest[] = [];
  while (!from.isAtEnd) {
    const request = requestFrom(from);
    listed.push({ ...request, reason: REASON.take(from), reasonAt: REASON_AT.take(from) });
  }
  return listed;
}
