/**
 * The events of the broker, for monitoring: see core/event-table.ts. A request that is served as usual emits none.
 */
import {
  address,
  key,
  peerOf,
  reason,
  REJECTED,
  REJECTED_RULES,
  rejectedText,
  service,
  whoseOf,
  worker,
  workerName,
} from '../core/event-fields.js';
import { type EventOf, type EventSink, field, info, warn } from '../core/event-table.js';
import {
  DROPPED_WORDS,
  type DroppedReason,
  EXPIRY_WORDS,
  type ExpiryReason,
  failureWords,
} from '../core/failure-words.js';
import type { FailureKind } from '../wire/failure.js';
import type { MalformedKind } from '../wire/inbound.js';

const deliveries = field.number();
/** Clients that look for the active node of a pair, or that do not wait for a worker, do nothing wrong. */
const USUAL: readonly string[] = ['not_active', 'draining', 'no_worker'];
/** The peer for which the lines of a refusal are limited; `null`: they are for all peers together. */
function limitedPeerOf({ reason, ...peer }: Refused): string | null {
  return reason === 'rights' || reason === 'too_large' ? peerOf(peer) : null;
}

function refusedWhat(event: Refused): string {
  return `(service ${event.service}, ${whoseOf(event)})`;
}

interface Refused {
  readonly service: string;
  readonly reason: string;
  readonly key: string | null;
  readonly address: string;
}

function called({ workerName }: { readonly workerName: string | null }): string {
  return workerName === null ? 'a worker' : `the worker ${workerName}`;
}

/** Why a worker is no longer registered. */
const LOSSES = {
  expired: 'it was silent for too long',
  disconnected: 'it sent DISCONNECT',
  connection: 'its connection ended',
  protocol: 'it broke a rule',
  rights: 'its right was withdrawn',
  drained: 'the broker sent it DISCONNECT during a drain',
} as const;

export const BROKER_EVENTS = {
  'worker.registered': info(
    (event) => `${called(event)} registered for ${event.service}`,
    { service, worker, workerName, credit: field.number(), key },
    'the broker accepted READY',
  ),
  'worker.lost': warn(
    (event) => {
      const { service, reason } = event;
      return reason === 'rights'
        ? `a worker of ${service} was disconnected, because its right was withdrawn (${whoseOf(event)})`
        : `${called(event)} of ${service} was lost: ${LOSSES[reason]}`;
    },
    {
      service,
      worker,
      workerName,
      reason: field.oneOf(LOSSES),
      inFlight: field.number('the requests that it held'),
      key,
      address,
    },
    {
      when: 'a worker is no longer registered',
      counted: 'workers_lost_total',
      usual: ['disconnected', 'drained'],
      by: ['reason'],
      who: (event) => (event.reason === 'rights' ? peerOf(event) : null),
    },
  ),
  'worker.refused': warn(
    (event) => `a worker was refused: ${event.text} ${refusedWhat(event)}`,
    {
      service,
      reason: field.oneOf({ reserved: '', limit: '', rights: '', draining: '' }),
      text: field.string('names the limit or quota'),
      key,
      address,
    },
    {
      when: 'the broker answered READY with DISCONNECT',
      counted: 'workers_refused_total',
      by: ['reason'],
      who: limitedPeerOf,
    },
  ),
  'worker.unexpected': warn(
    (event) => `a worker was disconnected: ${event.reason} (${whoseOf(event)})`,
    { reason, key, address },
    {
      when: 'a well-formed command that is not allowed at that moment; the broker answered with DISCONNECT',
      counted: 'messages_unexpected_total',
      who: peerOf,
    },
  ),
  'request.requeued': info(
    'a request for {service} was requeued for another worker',
    {
      service,
      reason: field.oneOf({
        lost: 'its worker is gone, or began anew',
        returned: 'its worker gave it back, or asked for another one',
      }),
      deliveries,
    },
    {
      when: 'its worker was lost or gave it back; the request is at the front of its queue again',
      counted: 'requests_requeued_total',
      by: ['reason'],
    },
  ),
  'request.returned': info(
    'a worker of {service} gave a request back',
    { service, reason: field.string("the worker's own, percent-escaped", 'worker') },
    'a worker with credit gave one request back',
  ),
  'request.failed': warn(
    (event) => `a worker of ${event.service} (${whoseOf(event)}) failed: ${failureWords(event)}`,
    {
      service,
      worker,
      workerName,
      kind: field.oneOf<FailureKind>({ error: '', final: '', retry: '' }),
      code: field.string('', 'worker'),
      text: field.string("the worker's, on one line, or both sizes", 'worker'),
      durable: field.boolean('whether this was an attempt of a stored request'),
      key,
      address,
    },
    {
      when: 'a worker tried a request and reported a failure, or its answer was too large (`mdp.too-large`); at most one line per second for each service, and twenty per second in all',
      counted: 'requests_failed_total titanic_attempts_failed_total',
      who: ({ service }) => service,
    },
  ),
  'request.expired': warn(
    ({ service, reason }) => `a request for ${service} expired: ${EXPIRY_WORDS[reason]}`,
    { service, waitedMs: field.number(), reason: field.oneOf<ExpiryReason>(EXPIRY_WORDS) },
    { when: 'it had no reply within `broker.requestTtlMs`', counted: 'requests_expired_total' },
  ),
  'request.outcome_unknown': warn(
    'a request for {service} that may run once has no outcome: {reason}',
    { service, reason: { ...reason, author: 'worker' } },
    {
      when: 'it may run only once, and the worker that had it did not answer; it is not delivered again',
      counted: 'requests_outcome_unknown_total',
    },
  ),
  'request.abandoned': warn(
    'a request for {service} was abandoned: {reason}',
    { service, deliveries, reason: { ...reason, author: 'worker' } },
    { counted: 'requests_abandoned_total' },
  ),
  'request.dropped': info(
    ({ service, reason, waited }) =>
      `a request for ${service} was dropped: ${DROPPED_WORDS[reason]}, and ${EXPIRY_WORDS[waited]}`,
    {
      service,
      reason: field.oneOf<DroppedReason>(DROPPED_WORDS),
      waited: field.oneOf<ExpiryReason>(EXPIRY_WORDS, 'why it had no reply until then'),
    },
    {
      when: 'it got no answer, because nobody wants it any more',
      counted: 'requests_dropped_total',
      by: ['reason'],
    },
  ),
  'request.refused': warn(
    (event) => {
      const said = `a request for ${event.service} was refused: ${event.text}`;
      return USUAL.includes(event.reason) ? said : `${said} (${whoseOf(event)})`;
    },
    {
      service,
      reason: field.oneOf({
        limit: '',
        quota: '',
        too_large: '',
        rights: 'the listener or the key does not give that right',
        no_worker: '',
        not_active:
          'this node of a pair does not serve now ([a node that is not active](protocol.md#a-node-that-is-not-active))',
        draining: '',
      }),
      text: field.string('names the limit or quota'),
      key,
      address,
    },
    {
      when: 'the broker did not accept it, or gave it up because it is shutting down',
      counted: 'requests_refused_total',
      usual: USUAL,
      by: ['reason'],
      who: limitedPeerOf,
    },
  ),
  'reply.dropped': info(
    'a reply was dropped: {reason}',
    { reason: field.oneOf({ client_gone: '', answered: '', too_late: '', slow_client: '' }) },
    { counted: 'replies_dropped_total', by: ['reason'] },
  ),
  'message.malformed': warn(
    (event) => {
      const { command, frame, reason } = event;
      const what = command === null ? 'a malformed message' : `a malformed ${command}`;
      const where = frame === null ? '' : `frame ${frame}: `;
      return `${what} (${whoseOf(event)}): ${where}${reason}`;
    },
    {
      kind: field.oneOf<MalformedKind>({
        envelope: '',
        client: '',
        worker: '',
        titanic: 'only in the metric: no line has it',
        too_large: '',
      }),
      reason: field.string('the rule that it breaks, or both sizes'),
      command: field.orNull(field.string('such as `REPLY`, or the byte, or `null`')),
      frame: field.orNull(
        field.number(
          'the number of the frame that breaks the rule, from 1 after the routing id, or `null`',
        ),
      ),
      key,
      address,
    },
    {
      when: 'a message that is not MDP, or is too large (unless `request.refused` or `request.failed` says so)',
      counted: 'messages_malformed_total',
      by: ['kind'],
      who: peerOf,
    },
  ),
  'client.closed': warn(
    (event) => `a client that does not read was disconnected (${whoseOf(event)})`,
    { reason: field.oneOf({ slow_client: '' }), key, address },
    {
      when: 'the broker closed a client that does not read: more than `limits.outputBytes` were waiting for it',
      who: peerOf,
    },
  ),
  'session.refused': warn(
    (event) =>
      `a client has no session, so its requests end with its connection (${whoseOf(event)}): ${event.reason}`,
    { reason, key, address },
    {
      when: 'a client got no session: the quota `sessions` of its identity, or `limits.memoryBytes`, is used up',
      who: peerOf,
    },
  ),
  'connection.rejected': warn(
    (event) => rejectedText('a connection', event),
    { listener: field.number('counts from 0'), ...REJECTED },
    {
      when: 'the broker closed a connection, or did not accept it',
      counted: 'connections_rejected_total',
      ...REJECTED_RULES,
    },
  ),
};

export type BrokerTable = typeof BROKER_EVENTS;
export type BrokerEvent = EventOf<BrokerTable>;
export type BrokerEvents = EventSink<BrokerEvent>;
