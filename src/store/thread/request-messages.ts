/** Stored requests between the threads of a node: the fields of each, in the order of the table. */
import type { PackReader, PackWriter } from '../../core/packing.js';
import { putRequest, requestFrom, type StoredRequest } from '../request.js';

/** The columns of a request in their order, uuid and service as hexadecimal digits. */
export type PendingRow = readonly [uuid: string, service: string, ...rest: (string | number)[]];

export function packPending(to: PackWriter, rows: readonly PendingRow[]): void {
  to.number(rows.length);
  for (const [uuid, service, ...rest] of rows) {
    to.hex(uuid);
    to.hex(service);
    for (const value of rest) {
      if (typeof value === 'number') to.number(value);
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
