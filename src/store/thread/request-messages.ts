/** Stored requests between the threads of a node: the fields of each, in the order of the table. */
import type { PackReader, PackWriter } from '../../core/packing.js';
import { putRequest, REQUEST_ROWS, requestFrom, type StoredRequest } from '../request.js';

/** The columns of a request in their order, bytes as hexadecimal digits. */
export type PendingRow = readonly (string | number)[];

const ARE_BYTES = REQUEST_ROWS.map(({ as }) => as === 'bytes');

export function packPending(to: PackWriter, rows: readonly PendingRow[]): void {
  to.number(rows.length);
  for (const row of rows) {
    for (let at = 0; at < row.length; at++) {
      const value = row[at] ?? 0;
      if (typeof value === 'number') to.number(value);
      else if (ARE_BYTES[at] === true) to.hex(value);
      else to.text(value);
    }
  }
}

/** Packs what `packPending` packs. */
export function packRequests(to: PackWriter, requests: readonly StoredRequest[]): void {
  to.number(requests.length);
  for (const request of requests) putRequest(to, request);
}

export function unpackPending(from: PackReader): StoredRequest[] {
  return Array.from({ length: from.number() }, () => requestFrom(from));
}
