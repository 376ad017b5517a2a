/** The requests for measurements of the store. */
import { newRequest } from '../../src/store/request.js';
import type { Change } from '../../src/store/store.js';

export const BODY_BYTES = 1024;

const NOW = 1_800_000_000_000;
const DAY_MS = 86_400_000;
const SERVICE = Buffer.from('echo');
const BODY = Buffer.alloc(BODY_BYTES, 0x42);

/** The n-th request: its uuid begins in order of time and ends as randomly as a real one. */
export function acceptOf(number: number): Extract<Change, { readonly kind: 'accept' }> {
  const uuid = Buffer.alloc(16);
  uuid.writeUIntBE(NOW + (number >> 5), 0, 6);
  uuid.writeUInt32BE(Math.imul(number, 0x9e3779b1) >>> 0, 8);
  uuid.writeUInt32BE(number, 12);
  const request = newRequest(uuid, BODY_BYTES, {
    ...{ service: SERVICE, owner: 'anonymous', isShared: false, priority: 0 },
    ...{ acceptedAt: NOW, notBefore: NOW, expiresAt: NOW + DAY_MS, maxAttempts: 10 },
  });
  return { kind: 'accept', request: { ...request, number }, body: BODY, key: null };
}
