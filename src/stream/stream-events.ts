/** The events of the publisher of this node's events (`events.listen`): see core/event-table.ts. */
import {
  address,
  closedText,
  closeReason,
  key,
  peerOf,
  REJECTED,
  REJECTED_RULES,
  rejectedText,
  whoseOf,
} from '../core/event-fields.js';
import { type EventOf, field, warn } from '../core/event-table.js';

export const STREAM_EVENTS = {
  'stream.closed': warn(
    (event) =>
      `a subscriber of the events was closed: ${closedText(event.reason)} (${whoseOf(event)})`,
    { reason: closeReason, key, address },
    {
      when: 'the node closed a subscriber',
      counted: 'stream_closed_total',
      by: ['reason'],
      who: peerOf,
    },
  ),
  'stream.refused': warn(
    (event) =>
      `a subscription to the events was refused: its key may not have all that begin with '${event.topic}' (${whoseOf(event)})`,
    { topic: field.string('the topic, percent-escaped'), key, address },
    {
      when: 'a key subscribed to a topic that begins names of events that it may not have; the connection stays',
      who: peerOf,
    },
  ),
  'stream.rejected': warn(
    (event) => rejectedText('a connection to events.listen', event),
    REJECTED,
    {
      when: 'a connection to `events.listen` was closed or not accepted, as in `connection.rejected`',
      ...REJECTED_RULES,
    },
  ),
};

export type StreamEvent = EventOf<typeof STREAM_EVENTS>;
