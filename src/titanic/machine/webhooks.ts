/**
 * Webhooks of stored requests. What tells a webhook is a record of its own kind, for `titanic.webhook`, and either
 * names the other as its partner. It is stored in the transaction that stores the request, and waits for the end of
 * it. The transaction of that end also stores an attempt of it, whose reason is the outcome: from then on it is due,
 * and is sent, tried again and given up like any other. So no crash separates an end from its webhook.
 *
 * Who closes a request that is not open here learns only afterwards that it was there. A crash in between
 * leaves one that still waits: it is due when all requests are listed and the other one is not among them, or
 * when the other one must have ended.
 */
import { Frames } from '../../core/frames.js';
import { WALL_MS_MAX } from '../../core/numbers.js';
import { pack, packedBytes, packedFrameBytes } from '../../core/packed.js';
import { extraOf } from '../../store/fields.js';
import { newRequest } from '../../store/request.js';
import type { Change, RequestUuid, StoredRequest } from '../../store/store.js';
import { TITANIC_WEBHOOK, uuidText } from '../../wire/tsp.js';
import type { Acceptance } from './open-requests.js';
import type { TitanicOptions } from './options.js';

export const WEBHOOKS: Buffer = Buffer.from(TITANIC_WEBHOOK);

/** Which URLs are allowed. @returns what is wrong with one, or `null` */
export type WebhookRule = (url: string) => string | null;
export const NO_WEBHOOKS: WebhookRule = () => 'no webhooks are allowed here: set http.webhookHosts';

/** How a request ended. */
export type WebhookOutcome = 'replied' | 'dead' | 'cancelled' | 'expired';

/** The delay after the time to live of the request, when it must have ended. */
const LATE_MS = 60_000;
/** The pauses between them, up to 6 h, make about a day. */
const ATTEMPTS_MAX = 20;
const BACKOFF = { backoff: { baseMs: 1000, maxMs: 21_600_000 } };
/** An operator may retry a webhook, too: each generation of a request leaves room for its own. */
const GENERATIONS = 1000;

/** Lengths of a uuid in hexadecimal digits, and of a wall time in milliseconds. */
const UUID_CHARACTERS = 32;
const TIME_CHARACTERS = String(WALL_MS_MAX).length;

/** The id for receivers: the same in every attempt, another one after an operator retried a dead request. */
export function webhookId(uuid: RequestUuid, generation: number): string {
  return `${uuidText(uuid)}-${Math.floor(generation / GENERATIONS)}`;
}

/** Size of the body of what tells a webhook. @param serviceBytes of the name of the request's service */
export function webhookBytes(url: string, serviceBytes: number): number {
  const sizes = [UUID_CHARACTERS, Buffer.byteLength(url), TIME_CHARACTERS, serviceBytes];
  return sizes.reduce((sum, size) => sum + packedFrameBytes(size), 0);
}

/**
 * What tells the webhook of a new request.
 * @param request its partner is the uuid of the webhook
 * @param replyTtlMs how long a reply is kept
 */
export function acceptWebhook(request: StoredRequest, url: string, replyTtlMs: number): Acceptance {
  const { owner, isShared, acceptedAt, expiresAt } = request;
  const time = String(acceptedAt).padStart(TIME_CHARACTERS, '0');
  const text = [uuidText(request.uuid), url, time];
  const frames = Frames.of(...text.map((each) => Buffer.from(each)), request.service);
  const body = Buffer.allocUnsafeSlow(packedBytes(frames, 0, frames.count));
  pack(frames, 0, frames.count, body, 0, false);
  const extra = extraOf(null, BACKOFF);
  return {
    kind: 'accept',
    request: newRequest(request.partner, body.length, {
      ...{ kind: 'webhook', partner: request.uuid, service: WEBHOOKS, owner, isShared },
      ...{ priority: 0, maxAttempts: ATTEMPTS_MAX, acceptedAt },
      ...timesOf(expiresAt, replyTtlMs),
    }),
    body,
    key: null,
    ...(extra === null ? {} : { extra }),
  };
}

function timesOf(endsBy: number, replyTtlMs: number): { notBefore: number; expiresAt: number } {
  const notBefore = Math.min(endsBy + LATE_MS, WALL_MS_MAX);
  return { notBefore, expiresAt: Math.min(notBefore + replyTtlMs, WALL_MS_MAX) };
}

/** The reason of the entry in its history that separates the ends of a request. */
export const REARMED = 'waits: the request is tried again';

/**
 * A dead request is to be tried again: its webhook waits for the next end.
 * @param generation of the request
 * @param endsBy its `expiresAt`
 */
export function rearmed(
  webhook: RequestUuid,
  generation: number,
  endsBy: number,
  wall: number,
  { replyTtlMs }: Pick<TitanicOptions, 'replyTtlMs'>,
): Change {
  const { notBefore, expiresAt } = timesOf(endsBy, replyTtlMs);
  return {
    kind: 'retry',
    ...{ uuid: webhook, generation: generation * GENERATIONS, expiresAt },
    // It is dispatched from its end on.
    attempt: {
      ...{ worker: '', startedAt: wall, endedAt: notBefore, reason: REARMED },
      ...{ failure: null, extra: null },
    },
  };
}

/** What is stored with the end of a request: its webhook is due. @param generation of the request */
export function dueWebhook(
  webhook: RequestUuid,
  generation: number,
  outcome: WebhookOutcome,
  at: number,
): Change {
  const attempt = { worker: '', startedAt: at, endedAt: at, reason: outcome };
  return {
    kind: 'attempt',
    ...{ uuid: webhook, generation: generation * GENERATIONS, attempts: 1, notBefore: at },
    attempt: { ...attempt, failure: null, extra: null },
  };
}
