/**
 * The shards of a subscriber (the Black Box): threads, each with connections of its own. One that fails,
 * or is too slow, ends all of them: the others' messages alone would look like the whole feed (D45).
 */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

import { messageOf } from '../../core/errors.js';
import { sdkError, type SdkErrorCode } from '../errors.js';
import type { FromShard, ShardData, ToShard } from './shard-messages.js';
import type { ReaderSettings, ShardsSettings } from './subscriber-options.js';

interface ShardEvents {
  connected(endpoint: string, shard: number): void;
  disconnected(endpoint: string, shard: number): void;
}

/** Handlers of the other shards have so long to finish after one has failed. */
const FAILED_GRACE_MS = 1000;
const PING_MS_MIN = 100;
/** Pings that a thread may leave unanswered, which are sent at intervals of `maxDelayMs`. */
const UNANSWERED_MAX = 2;

export class ShardGroup {
  readonly #reader: ReaderSettings;
  readonly #settings: ShardsSettings;
  readonly #events: ShardEvents;
  readonly #threads = new Map<number, Worker>();
  /** By shard; none before its thread has started. */
  readonly #unanswered: (number | undefined)[] = [];
  #pings: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #finish: (() => void) | null = null;
  #error: Error | null = null;
  #isClosing = false;
  #grace: NodeJS.Timeout | null = null;

  constructor(reader: ReaderSettings, settings: ShardsSettings, events: ShardEvents) {
    this.#reader = reader;
    this.#settings = settings;
    this.#events = events;
  }

  run(): Promise<void> {
    this.#running ??= this.#isClosing ? Promise.resolve() : this.#run();
    return this.#running;
  }

  async close(graceMs: number): Promise<void> {
    this.#endAll(graceMs);
    await this.#running?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal, maxDelayMs } = this.#reader;
    const ended = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    for (const [shard, topics] of this.#settings.topics.entries()) this.#start(shard, topics);
    if (maxDelayMs !== null) {
      this.#pings = setInterval(this.#ping, Math.max(PING_MS_MIN, maxDelayMs)).unref();
    }
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted === true) this.#abort();
    await ended;
    signal?.removeEventListener('abort', this.#abort);
    if (this.#pings !== null) clearInterval(this.#pings);
    if (this.#grace !== null) clearTimeout(this.#grace);
    if (this.#error !== null) throw this.#error;
  }

  #start(shard: number, topics: readonly Buffer[]): void {
    const { endpoints, maxDelayMs, stamp, onGap, bufferBytes, curve } = this.#reader;
    const { handler } = this.#settings;
    const data: ShardData = {
      shard,
      handler,
      endpoints,
      topics,
      maxDelayMs,
      onGap,
      bufferBytes,
      curve,
      stamp: stamp === false ? false : null,
    };
    const thread = new Worker(threadFile(), { workerData: data, name: `shard ${shard}` });
    this.#threads.set(shard, thread);
    thread.on('message', (message: FromShard) => this.#receive(shard, message));
    thread.on('error', (error) => {
      this.#fail(shard, 'ERR_STREAM_SHARD', messageOf(error), {}, error);
    });
    thread.on('exit', (status) => {
      this.#threads.delete(shard);
      this.#fail(shard, 'ERR_STREAM_SHARD', `its thread ended with status ${status}`);
      if (this.#threads.size === 0) this.#finish?.();
    });
  }

  #receive(shard: number, message: FromShard): void {
    if (message.kind === 'pong') {
      this.#unanswered[shard] = 0;
    } else if (message.kind === 'failed') {
      const { code, message: text, details } = message;
      this.#fail(shard, (code ?? 'ERR_STREAM_SHARD') as SdkErrorCode, text, details);
    } else {
      this.#events[message.kind](message.endpoint, shard);
    }
  }

  /** The first error is that of the subscriber. */
  #fail(
    shard: number,
    code: SdkErrorCode,
    text: string,
    details: Readonly<Record<string, unknown>> = {},
    cause?: unknown,
  ): void {
    if (this.#isClosing) return;
    this.#error = sdkError(code, `shard ${shard}: ${text}`, {
      details: { ...details, shard },
      cause,
    });
    this.#endAll(FAILED_GRACE_MS);
  }

  #endAll(graceMs: number): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#threads.size === 0) return;
    for (const thread of this.#threads.values()) thread.postMessage('close' satisfies ToShard);
    this.#grace = setTimeout(() => {
      for (const thread of this.#threads.values()) void thread.terminate();
    }, graceMs);
  }

  readonly #abort = (): void => {
    if (this.#isClosing) return;
    const cause: unknown = this.#reader.signal?.reason;
    this.#error = sdkError('ERR_MDP_ABORTED', 'the subscriber was aborted', { cause });
    this.#endAll(FAILED_GRACE_MS);
  };

  /**
   * Finds a thread whose event loop does not turn, which cannot say itself that it is late. Pings are
   * counted, not timed: this loop may have been busy, too.
   */
  readonly #ping = (): void => {
    for (const [shard, thread] of this.#threads) {
      const unanswered = this.#unanswered[shard];
      if (unanswered === undefined) continue;
      if (unanswered >= UNANSWERED_MAX) {
        const delayMs = unanswered * (this.#reader.maxDelayMs ?? 0);
        const text = `its thread has been busy for ${delayMs} ms without a pause`;
        this.#fail(shard, 'ERR_STREAM_TOO_SLOW', text, { delayMs, behind: null });
        return;
      }
      this.#unanswered[shard] = unanswered + 1;
      thread.postMessage('ping' satisfies ToShard);
    }
  };
}

/**
 * Also in the package, where this code lies in another file; in a bundle, only if the bundler takes it along.
 * @throws ERR_STREAM_SHARD
 */
function threadFile(): URL {
  const url = import.meta.url as string | undefined;
  if (url !== undefined) {
    // (Bundlers would take a copy of that file alone if they read `import.meta.url` here.)
    const file = new URL('./shard-thread.js', url);
    if (existsSync(file)) return file;
  }
  throw sdkError(
    'ERR_STREAM_SHARD',
    'shards run in threads with a file of their own, which this bundle lacks: leave majordomo-sdk out of the bundle',
  );
}
