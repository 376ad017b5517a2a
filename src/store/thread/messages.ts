/** What a store's thread is told to open, and pending requests between it and the main thread, packed. */
import type { PackReader, PackWriter } from '../packing.js';
import { type Owner, STATES, type StoredRequest } from '../store.js';

/** What the thread is to open. */
export interface OpenOrder {
  readonly path: string;
  /** Another store may replace the one that the directory remembers. */
  readonly isNewStore: boolean;
  /** The node is one of a pair. */
  readonly isPaired: boolean;
}

/** The store has rows that are set aside. */
export interface AsideNews {
  readonly how: 'set-aside';
  readonly text: string;
}

/** Why a store could not be opened, as a plain object. */
export interface OpenFailure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export function packRequest(to: PackWriter, request: StoredRequest): void {
  to.bytes(request.uuid);
  to.bytes(request.service);
  to.text(request.owner);
  to.number(request.number);
  to.number(STATES.indexOf(request.state));
  to.number(request.priority);
  to.number(request.acceptedAt);
  to.number(request.notBefore);
  to.number(request.expiresAt);
  to.number(request.maxAttempts);
  to.number(request.attempts);
  to.number(request.generation);
  to.number(request.bodyBytes);
  to.number(request.isShared ? 1 : 0);
}

// Members of an object literal are evaluated in the order in which they are written here.
export function unpackRequest(from: PackReader): StoredRequest {
  return {
    uuid: from.bytes(),
    service: from.bytes(),
    owner: from.text() as Owner,
    number: from.number(),
    state: STATES[from.number()] ?? 'pending',
    priority: from.number(),
    acceptedAt: from.number(),
    notBefore: from.number(),
    expiresAt: from.number(),
    maxAttempts: from.number(),
    attempts: from.number(),
    generation: from.number(),
    bodyBytes: from.number(),
    isShared: from.number() === 1,
  };
}

/** A pending request: its fields in the order of `packRequest`, bytes as hexadecimal digits. */
export type PendingRow = readonly [
  uuid: string,
  service: string,
  owner: string,
  ...facts: number[],
];

export function packPending(to: PackWriter, rows: readonly PendingRow[]): void {
  to.number(rows.length);
  for (const [uuid, service, owner, ...facts] of rows) {
    to.hex(uuid);
    to.hex(service);
    to.text(owner);
    for (const fact of facts) to.number(fact);
  }
}

/** As `packPending`. */
export function packRequests(to: PackWriter, requests: readonly StoredRequest[]): void {
  to.number(requests.length);
  for (const request of requests) packRequest(to, request);
}

export function unpackPending(from: PackReader): StoredRequest[] {
  return Array.from({ length: from.number() }, () => unpackRequest(from));
}
