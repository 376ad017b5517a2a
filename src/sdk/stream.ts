/**
 * Streams, `majordomo-sdk/stream`: publish and subscribe, without a broker.
 * How subscribers notice gaps and their own slowness: see `docs/sdk-streams.md`.
 */
export { codeOf } from '../core/errors.js';
export type { Body } from './body.js';
export type { Endpoints } from './endpoints.js';
export { MajordomoError, SDK_ERRORS, type SdkErrorCode } from './errors.js';
export { Curve, type CurveOptions } from './curve.js';
export { isMajordomoError, type ErrorOf } from './service-error.js';
export { Publisher, type PublisherCounters } from './stream/publisher.js';
export type { PublisherCurveOptions, PublisherOptions } from './stream/publisher-options.js';
export type { ShardContext, ShardHandler } from './stream/shard-messages.js';
export type {
  ClosedSubscriber,
  PublisherConnection,
  PublisherEvents,
  RejectedConnection,
  SubscriberEvents,
} from './stream/stream-events.js';
export type { StreamMessage } from './stream/stream-message.js';
export { Subscriber } from './stream/subscriber.js';
export type { SubscriberOptions } from './stream/subscriber-options.js';
export type { Topic } from './stream/topics.js';
export type { CloseOptions } from './worker/worker-options.js';
