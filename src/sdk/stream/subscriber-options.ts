/** The options of a subscriber, and the settings that are made of them. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { CurveOptions } from '../curve.js';
import type { CurveClientKeys } from '../../zmtp/link.js';
import { endpointList, type Endpoints } from '../endpoints.js';
import { wrong } from '../errors.js';
import { curveKeys, readOptions } from '../option-reader.js';
import { SUBSCRIBER_OPTIONS, type TableOf, type ValuesOf } from '../option-tables.js';
import { shardTopics } from './shard-topics.js';
import { type Topic, topicList } from './topics.js';

/**
 * Options of `Subscriber`. An unknown option, or one of a wrong type or size, is ERR_MDP_OPTION, which names it in
 * `details.option`.
 *
 *     new Subscriber({ endpoints: 'tcp://127.0.0.1:5560', topics: ['trade.', 'quote.'], maxDelayMs: 1000 });
 */
export interface SubscriberOptions {
  /** The publishers, to each of which the subscriber connects; in the form of `ClientOptions.endpoints`. */
  readonly endpoints: Endpoints;
  /**
   * What to receive: messages whose topics begin with one of these, at most 10000, of at most 255 bytes each.
   * Default: everything.
   */
  readonly topics?: Topic | readonly Topic[];
  /**
   * How late a message may reach its reader, in milliseconds. One that is later ends the subscriber with
   * ERR_STREAM_TOO_SLOW. Only a delay that grew counts, over the smallest one of the last ten minutes, so the
   * clocks of both machines need not agree. Default: no limit.
   */
  readonly maxDelayMs?: number;
  /**
   * For publishers that are no `Publisher`: returns when a message was published, in milliseconds by the publisher's
   * clock, from its frames, the topic first. `false`: their messages do not say it. A handler module of shards exports
   * it as `stamp` instead. Default: the header of a `Publisher` says it.
   */
  readonly stamp?: false | ((frames: readonly Buffer[]) => number);
  /**
   * What a lost connection does: with `mark`, the first message after it has `afterGap`; with `fail`, the subscriber
   * ends with ERR_STREAM_GAP, after what came before. Default `mark`.
   */
  readonly onGap?: 'mark' | 'fail';
  /**
   * Messages that wait for the reader, in bytes. With more, the subscriber stops reading, so that they wait at the
   * publisher, which closes connections that do not read. Default 1 MiB.
   */
  readonly bufferBytes?: number;
  /** Keys, if the publisher uses CURVE. Default: none, no encryption. */
  readonly curve?: CurveOptions;
  /** Ends the subscriber with ERR_MDP_ABORTED. Default: none. */
  readonly signal?: AbortSignal;
  /**
   * Instead of `topics`: the topics of each shard, a thread with a connection of its own to every endpoint. No topic
   * of one may begin with one of another. Needs `handler`, and `run()`.
   */
  readonly shards?: readonly (readonly Topic[])[];
  /**
   * The module, as a URL or a path, that each shard loads: its export `default`, a `ShardHandler`, gets each message.
   * Only with `shards`.
   */
  readonly handler?: string | URL;
}

/** How a subscriber, or one shard of it, reads. */
export interface ReaderSettings {
  readonly endpoints: readonly string[];
  readonly topics: readonly Buffer[];
  readonly maxDelayMs: number | null;
  readonly stamp: ((frames: readonly Buffer[]) => number) | false | null;
  readonly onGap: 'mark' | 'fail';
  readonly bufferBytes: number;
  readonly curve: CurveClientKeys | null;
  readonly signal: AbortSignal | null;
}

/** `SubscriberOptions` with defaults filled in. */
interface SubscriberSettings {
  readonly reader: ReaderSettings;
  /** `null`: it has no shards. */
  readonly shards: ShardsSettings | null;
}

export interface ShardsSettings {
  /** The topics of each. */
  readonly topics: readonly (readonly Buffer[])[];
  /** The URL of the handler module. */
  readonly handler: string;
}

/** All topics begin with it. */
const EVERYTHING = '';

/** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
export function subscriberSettings(given: unknown): SubscriberSettings {
  const table = SUBSCRIBER_OPTIONS satisfies TableOf<SubscriberOptions>;
  const options = readOptions('Subscriber', table, given);
  if (options.endpoints === undefined) {
    throw wrong('endpoints', 'must be given, for example tcp://127.0.0.1:5560');
  }
  const shards = shardsSettings(options);
  const reader: ReaderSettings = {
    ...options,
    endpoints: endpointList(options.endpoints),
    topics: topicList(options.topics ?? EVERYTHING, 'topics'),
    curve: curveKeys(options.curve) ?? null,
    signal: options.signal ?? null,
  };
  if (reader.stamp === false && reader.maxDelayMs !== null) {
    throw wrong('maxDelayMs', 'needs the time of each message: it cannot be with stamp: false');
  }
  if (shards !== null && typeof reader.stamp === 'function') {
    throw wrong('stamp', 'cannot be a function with shards: export it from the handler module');
  }
  return { reader, shards };
}

type Values = ValuesOf<typeof SUBSCRIBER_OPTIONS>;

function shardsSettings({ shards, handler, topics }: Values): ShardsSettings | null {
  if (shards === undefined) {
    if (handler !== undefined) throw wrong('handler', 'is only for shards: without, iterate');
    return null;
  }
  if (topics !== undefined) throw wrong('topics', 'cannot be with shards, which have their own');
  if (!(handler instanceof URL) && typeof handler !== 'string') {
    throw wrong('handler', 'must be the URL or the path of a module, because there are shards');
  }
  return { topics: shardTopics(shards), handler: hrefOf(handler) };
}

function hrefOf(handler: string | URL): string {
  const text = String(handler);
  return /^(file|data):/.test(text) ? text : pathToFileURL(resolve(text)).href;
}
