/** The requests for measurements of the store. */
import { NO_OWN, NO_PARTNER, extraOf } from '../../src/store/fields.js';
import { newRequest } from '../../src/store/request.js';
import type { Change } from '../../src/store/store.js';
import { encodeHeaders } from '../../src/wire/headers.js';

export const BODY_BYTES = 1024;

const NOW = 1_800_000_000_000;
const DAY_MS = 86_400_000;
export const EXPIRES_AT = NOW + DAY_MS;
const SERVICE = Buffer.from('echo');
const BODY = Buffer.alloc(BODY_BYTES, 0x42);

/** The n-th request: its uuid begins in order of time and ends as randomly as a real one. */
export function acceptOf(number: number): Extract<Change, { readonly kind: 'accept' }> {
  const uuid = Buffer.alloc(16);
  uuid.writeUIntBE(NOW + (number >> 5), 0, 6);
  uuid.writeUInt32BE(Math.imul(number, 0x9e3779b1) >>> 0, 8);
  uuid.writeUInt32BE(number, 12);
  const request = newRequest(uuid, BODY_BYTES, {
    ...{
      kind: 'request',
      partner: NO_PARTNER,
      own: NO_OWN,
      service: SERVICE,
      owner: 'anonymous',
      isShared: false,
      priority: 0,
    },
    ...{ acceptedAt: NOW, notBefore: NOW, expiresAt: EXPIRES_AT, maxAttempts: 10 },
  });
  return { kind: 'accept', request: { ...request, number }, body: BODY, key: null };
}

const SERVICES = 300;
const LABELS_EVERY = 100;
/** One failure among many: 4,000 of a million. */
const RARE_EVERY = 250;
const CODES = 20;
const SMALL_BODY = BODY.subarray(0, 64);

/** The same, of one of many services, with headers: every hundredth of one tenant. */
export function labelledAcceptOf(number: number): Change {
  const { request, ...accept } = acceptOf(number);
  const service = Buffer.from(`service-${number % SERVICES}`);
  const headers = encodeHeaders({ tenant: `t${number % LABELS_EVERY}`, trace: String(number) });
  const extra = extraOf(headers);
  return {
    ...accept,
    request: { ...request, service, bodyBytes: SMALL_BODY.length },
    body: SMALL_BODY,
    ...(extra === null ? {} : { extra }),
  };
}

export function deadOf(number: number): Change {
  const { uuid } = acceptOf(number).request;
  const reason =
    number % RARE_EVERY === 0
      ? `out-of-paper: tray ${number % 7} of printer ${uuid.toString('hex')} is empty`
      : `E${number % CODES}: order ${number} was refused after ${number % 997} ms by upstream`;
  return { kind: 'dead', uuid, generation: 0, reason, at: NOW + number, expiresAt: EXPIRES_AT };
}
