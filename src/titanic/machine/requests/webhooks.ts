/**
 * Webhooks of stored requests. What tells a webhook is a record of its own kind, for `titanic.webhook`, and either
 * names the other as its partner. It is stored in the transaction that stores the request, and waits for the end of
 * it. The transaction of that end also stores the outcome in it: from then on it is due, and is sent, tried again and
 * given up like any other. So no crash separates an end from its webhook.
 *
 * Who closes a request that is not open here learns only afterwards that it was there. A crash in between
 * leaves one that still waits: it is due when all requests are listed and the other one is not among them, or
 * when the other one must have ended.
 */
import { WALL_MS_MAX } from '../../../core/numbers.js';
import { extraOf, NO_BODY } from '../../../store/fields.js';
import { numberOfOutcome } from '../../../store/outcomes.js';
import { packOwn } from '../../../store/own-fields.js';
import { newRequest } from '../../../store/request.js';
import type { NewRequest, Change, RequestUuid, StoredRequest } from '../../../store/store.js';
import { TITANIC_WEBHOOK, uuidText } from '../../../wire/tsp.js';
import type { TitanicOptions } from './options.js';

export const WEBHOOKS: Buffer = Buffer.from(TITANIC_WEBHOOK);

/** Which URLs are allowed. @returns what is wrong with one, or `null` */
export type WebhookRule = (url: string) => string | null;
export const NO_WEBHOOKS: WebhookRule = () => 'no webhooks are allowed here: set http.webhookHosts';

/** How a request ended. */
export type WebhookOutcome = 'replied' | 'dead' | 'cancelled' | 'expired';

/** The delay after the time to live of the request, when it must have ended. */
const LATE_MS = 60_000;
/** The pauses between them make 20 to 39 hours, more if the receiver asks for longer ones. */
const ATTEMPTS_MAX = 20;
/** The longest pause between two attempts, also if the receiver asks for a longer one. */
export const PAUSE_MAX_MS = 21_600_000;
/** A pause is between half of the value and all of it: the first one is 1 to 2 s. */
const BACKOFF = { backoff: { baseMs: 2000, maxMs: PAUSE_MAX_MS } };
/** How long one that is due lives at least: all attempts, with waits for a place at its receiver. */
const ATTEMPTS_MS = ATTEMPTS_MAX * PAUSE_MAX_MS;

/**
 * What a webhook's generation says: which generation of its request it tells of, times this number; plus 1 when that
 * has ended; plus 1 for each time that an operator retried the webhook.
 */
const GENERATIONS = 1000;

/** Whether the end is stored that a webhook tells of. @param generation of the webhook */
export function isDueWebhook(generation: number): boolean {
  return generation % GENERATIONS > 0;
}

/** The generation of a webhook that is due, whether or not the end is stored that it tells of. */
export function dueGeneration(generation: number): number {
  return isDueWebhook(generation) ? generation : generation + 1;
}

/** How often an operator retried a record. */
export function retriesOf({
  kind,
  generation,
}: Pick<StoredRequest, 'kind' | 'generation'>): number {
  return kind === 'webhook' ? Math.max(0, (generation % GENERATIONS) - 1) : generation;
}

/** The id for receivers: the same in every attempt, another one after an operator retried a dead request. */
export function webhookId(uuid: RequestUuid, generation: number): string {
  return `${uuidText(uuid)}-${Math.floor(generation / GENERATIONS)}`;
}

/** Size of what tells a webhook. */
export function webhookBytes(url: string, service: Buffer): number {
  return packOwn('webhook', { url, service }).length;
}

/**
 * What tells the webhook of a new request.
 * @param request its partner is the uuid of the webhook
 * @param replyTtlMs how long a reply is kept
 */
export function acceptWebhook(request: StoredRequest, url: string, replyTtlMs: number): NewRequest {
  const { owner, isShared, acceptedAt, expiresAt } = request;
  const extra = extraOf(null, BACKOFF);
  return {
    kind: 'accept',
    request: newRequest(request.partner, NO_BODY.length, {
      kind: 'webhook',
      partner: request.uuid,
      service: WEBHOOKS,
      owner,
      isShared,
      own: packOwn('webhook', { url, service: request.service }),
      priority: 0,
      maxAttempts: ATTEMPTS_MAX,
      acceptedAt,
      ...timesOf(expiresAt, replyTtlMs),
    }),
    body: NO_BODY,
    key: null,
    ...(extra === null ? {} : { extra }),
  };
}

function timesOf(endsBy: number, replyTtlMs: number): { notBefore: number; expiresAt: number } {
  const notBefore = Math.min(endsBy + LATE_MS, WALL_MS_MAX);
  return { notBefore, expiresAt: Math.min(notBefore + dueTtlMs(replyTtlMs), WALL_MS_MAX) };
}

/** How long a webhook lives that is due. @param ttlMs how long a request would */
export function dueTtlMs(ttlMs: number): number {
  return Math.max(ttlMs, ATTEMPTS_MS);
}

/**
 * When a webhook expires whose request ends at `at`; 0: as it was stored with the request, which ends in time.
 * @param endsBy `expiresAt` of the request
 */
export function dueExpiry(endsBy: number, at: number, replyTtlMs: number): number {
  return at > endsBy + LATE_MS ? timesOf(at, replyTtlMs).expiresAt : 0;
}

/**
 * A dead request is to be tried again: its webhook waits for the next end.
 * @param generation of the request
 * @param endsBy its `expiresAt`
 */
export function rearmed(
  webhook: RequestUuid,
  generation: number,
  endsBy: number,
  { replyTtlMs }: Pick<TitanicOptions, 'replyTtlMs'>,
): Change {
  return {
    kind: 'advance',
    uuid: webhook,
    generation: generation * GENERATIONS,
    attempts: 0,
    ...timesOf(endsBy, replyTtlMs),
    outcome: 0,
    outcomeAt: 0,
  };
}

/**
 * What is stored with the end of a request: its webhook is due.
 * @param generation of the request
 * @param expiresAt see `dueExpiry`
 * @param claim of the request, under which it ends; 0: it ends whoever has it
 */
export function dueWebhook(
  webhook: RequestUuid,
  generation: number,
  outcome: WebhookOutcome,
  at: number,
  expiresAt = 0,
  claim = 0,
): Change {
  return {
    kind: 'advance',
    uuid: webhook,
    generation: dueGeneration(generation * GENERATIONS),
    attempts: 0,
    notBefore: at,
    expiresAt,
    outcome: numberOfOutcome(outcome),
    outcomeAt: at,
    ...(claim === 0 ? {} : { partnerClaim: claim }),
  };
}
