import type { AsyncItems } from '../least-types.js';
import { monotonicMs } from '../../core/clock.js';
import { secureRandom } from '../../core/random.js';
import { type BodyFrames, bodyFrames, isFrame } from '../body.js';
import { type Decode, type Encode, encoderOf, replyDecoderOf } from '../codec/codec.js';
import { type MajordomoError, sdkError } from '../errors.js';
import { Listeners } from '../sdk-events.js';
import { Ticker } from '../ticker.js';
import { ChangeReader } from './change-reader.js';
import { type MapClientSink, MapClient } from './map-client.js';
import { type MapChange, SHARED_MAP_EVENTS, type SharedMapEvents } from './map-events.js';
import { MapLinks, type MapLinksEvents } from './map-links.js';
import {
  type ChangeSettings,
  changeSettings,
  keyBytes,
  type MapDeleteOptions,
  type MapSetOptions,
  type MapValue,
  type SharedMapOptions,
  sharedMapSettings,
  type SharedMapSettings,
} from './map-options.js';
import { MAP_TO_CHECK } from './own-changes.js';

/** Most bytes of a message besides its value. */
const MESSAGE_OVERHEAD_BYTES = 8192;
const NO_VALUE: Buffer = Buffer.alloc(0);

/**
 * A map of keys and values that the broker keeps (`map.listen`), held in memory: reads cost no request, and every
 * change of any client arrives by itself. It connects at once, follows the node of a pair that serves, and keeps the
 * process alive until it is closed.
 *
 *     const map = new SharedMap({ endpoints: ['tcp://a:5570', 'tcp://b:5570'], subtree: '/config/', codec: json() });
 *     await map.synced;
 *     console.log(map.get('/config/limit'));
 *     for await (const { key, value } of map.changes()) console.log(key, value);
 *
 * The last writer of a key wins. While no node serves, the map stays what it was: see `isSynced`.
 *
 * @typeParam In what the codec makes values of
 * @typeParam Out what the codec reads from values
 */
export class SharedMap<In = MapValue, Out = Buffer> {
  readonly #settings: SharedMapSettings;
  readonly #encode: Encode | null;
  readonly #decode: Decode | null;
  readonly #decoded = new WeakMap<Buffer, { readonly value: unknown }>();
  readonly #client: MapClient;
  readonly #links: MapLinks;
  readonly #ticker: Ticker;
  readonly #listeners = new Listeners<SharedMapEvents>(SHARED_MAP_EVENTS);
  readonly #readers = new Set<ChangeReader<MapChange<Out>>>();
  #waiting: Waiting | null = null;
  /** Why the map ended; `null`: it has not. */
  #end: MajordomoError | null = null;
  #isClosed = false;
  #closing: Promise<void> | null = null;

  /**
   * Connects in the background.
   * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
   */
  constructor(options: SharedMapOptions<In, Out>) {
    const settings = sharedMapSettings(options);
    this.#settings = settings;
    const { endpoints, subtree, codec, maxOutstanding, maxBytes, curve, signal } = settings;
    this.#encode = codec === undefined ? null : encoderOf(codec);
    this.#decode = codec === undefined ? null : replyDecoderOf(codec);
    const client = new MapClient(
      {
        endpoints: endpoints.length,
        subtree: subtree.toString('latin1'),
        bytesMax: maxBytes,
        changesMax: maxOutstanding,
      },
      this.#sink(),
      Math.random,
      secureRandom,
    );
    this.#client = client;
    this.#ticker = new Ticker((now) => {
      client.tick(now);
      return client.dueAt;
    });
    const messageBytesMax = maxBytes + MESSAGE_OVERHEAD_BYTES;
    this.#links = new MapLinks(endpoints, subtree, messageBytesMax, curve, this.#linkEvents());
    this.#links.open();
    client.start(monotonicMs());
    this.#ticker.want(client.dueAt);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted === true) this.#abort();
  }

  // ---------------------------------------------------------------- reading

  /**
   * The value of a key, from memory; `undefined`: it has none. Do not change it: others get the same object.
   *
   * @throws ERR_MDP_CODEC if the codec cannot read it; the error with which the map ended, if it was not closed
   */
  get(key: string): Out | undefined {
    this.#check();
    const bytes = this.#client.values.get(Buffer.from(key, 'utf8').toString('latin1'));
    return bytes === undefined ? undefined : this.#valueOf(bytes);
  }

  /** Whether a key has a value. @throws the error with which the map ended */
  has(key: string): boolean {
    this.#check();
    return this.#client.values.has(Buffer.from(key, 'utf8').toString('latin1'));
  }

  /**
   * The keys, in no particular order, as they are when each is taken.
   * @throws the error with which the map ended
   */
  *keys(): IterableIterator<string> {
    this.#check();
    for (const key of this.#client.values.keys()) yield textOf(key);
  }

  /**
   * The keys and their values, in no particular order, as they are when each is taken.
   *
   *     for (const [key, value] of map.entries()) console.log(key, value);
   *
   * @throws ERR_MDP_CODEC if the codec cannot read a value; the error with which the map ended
   */
  *entries(): IterableIterator<[key: string, value: Out]> {
    this.#check();
    for (const [key, bytes] of this.#client.values) yield [textOf(key), this.#valueOf(bytes)];
  }

  /** The number of keys. */
  get size(): number {
    return this.#client.values.size;
  }

  /**
   * The changes from this call on. What `entries()` returns in the same turn of the event loop is the state before
   * them; without it, the first snapshot arrives as changes, too.
   *
   *     for await (const { key, value } of map.changes()) console.log(key, value ?? 'gone');
   *
   * A reader that is slow gets, of several changes of a key, only the last. After a lost connection come the
   * differences: the last change of a key never is missed. A key that is set to the value that it has does not change.
   * Ends after `close()`; otherwise `next()` rejects with the error with which the map ended.
   */
  changes(): AsyncItems<MapChange<Out>> {
    const make = (key: string, bytes: Buffer | undefined): MapChange<Out> =>
      this.#changeOf(textOf(key), bytes);
    const reader = new ChangeReader<MapChange<Out>>(make, (ended) => {
      this.#readers.delete(ended);
    });
    if (this.#end === null) this.#readers.add(reader);
    else reader.end(this.#isClosed ? null : this.#end);
    return reader;
  }

  /** Whether the map follows a node that serves. If not, it is as it was when it last did. */
  get isSynced(): boolean {
    return this.#client.isSynced;
  }

  /**
   * Resolves when the map follows a node: now, or when it next does.
   *
   *     await map.synced;
   *
   * Rejects with ERR_MDP_KEY_REFUSED, ERR_MAP_LIMIT, ERR_MDP_ABORTED or ERR_MDP_CLOSED.
   */
  get synced(): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    if (this.isSynced) return Promise.resolve();
    this.#waiting ??= newWaiting();
    return this.#waiting.promise;
  }

  /** The endpoint of the node that the map follows; `null`: none at this moment. */
  get endpoint(): string | null {
    return this.isSynced ? this.#endpointAt(this.#client.current) : null;
  }

  // ---------------------------------------------------------------- writing

  /**
   * Sets a key. Resolves when the change is safe (on both disks of a pair, as its `titanic.replication` says) and this
   * map shows it. Bytes are not copied: do not change them until then.
   *
   *     await map.set('/workers/eu-1', 'ready', { ttlMs: 10_000 });
   *
   * Rejects with ERR_MDP_TIMEOUT: the change was sent, and nobody knows whether it was, or yet will be made; nodes do
   * not answer changes that they refuse. With ERR_MDP_UNREACHABLE nothing was sent. With ERR_MDP_ABORTED or
   * ERR_MDP_CLOSED it may have been made. ERR_MDP_LIMIT, ERR_MDP_OPTION, ERR_MDP_BODY and ERR_MDP_CODEC: it was not.
   *
   * Until then it is sent again after a lost connection. It has a number: nodes make it once, and not after a later one
   * of this map.
   *
   * @param key 1 to 255 bytes, within the subtree, and not below `/mmi/`
   * @param value not empty
   */
  async set(key: string, value: In, options?: MapSetOptions): Promise<void> {
    const settings = changeSettings('set', options, this.#settings);
    const bytes = keyBytes(key, this.#settings.subtree);
    await this.#change(bytes, this.#bytesOf(value), settings);
  }

  /**
   * Deletes a key, also one that is not there. Resolves and rejects as `set` does.
   *
   *     await map.delete('/workers/eu-1');
   */
  async delete(key: string, options?: MapDeleteOptions): Promise<void> {
    const settings = changeSettings('delete', options, this.#settings);
    await this.#change(keyBytes(key, this.#settings.subtree), NO_VALUE, settings);
  }

  #change(key: Buffer, value: Buffer, { signal, ...settings }: ChangeSettings): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    if (signal?.aborted === true) return Promise.reject(aborted('the change', signal));
    this.#links.openWriters();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        if (signal !== undefined && change !== null) {
          this.#client.changes.settle(change, aborted('the change', signal));
        }
      };
      const settled = (error: MajordomoError | null): void => {
        signal?.removeEventListener('abort', abort);
        if (error === null) resolve();
        else reject(error);
      };
      const change = this.#client.change({ ...settings, key, value, settled }, monotonicMs());
      this.#ticker.want(this.#client.dueAt);
      if (change === null) {
        const text = `${this.#client.outstanding} changes are outstanding (maxOutstanding, or 64 MiB)`;
        reject(sdkError('ERR_MDP_LIMIT', text));
      } else {
        signal?.addEventListener('abort', abort, { once: true });
      }
    });
  }

  // ---------------------------------------------------------------- events, and the end

  /** Calls `listener` at each `event`. @throws ERR_MDP_OPTION if there is no such event */
  on<Name extends keyof SharedMapEvents>(
    event: Name,
    listener: (event: SharedMapEvents[Name]) => void,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof SharedMapEvents>(
    event: Name,
    listener: (event: SharedMapEvents[Name]) => void,
  ): this {
    this.#listeners.delete(event, listener);
    return this;
  }

  /**
   * Closes the connections. Changes that are not done reject with ERR_MDP_CLOSED; loops over `changes()` end. The
   * map can still be read, and changes no more. Never rejects.
   */
  async close(): Promise<void> {
    if (this.#end === null) {
      this.#isClosed = true;
      this.#stop(sdkError('ERR_MDP_CLOSED', 'the shared map was closed'));
    }
    await this.#closing;
  }

  /** Closes the map, as `close()` does: for `await using map = new SharedMap(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #stop(error: MajordomoError): void {
    this.#end = error;
    this.#settings.signal?.removeEventListener('abort', this.#abort);
    this.#client.end(error);
    this.#ticker.stop();
    this.#closing = this.#links.close();
    this.#waiting?.reject(error);
    for (const reader of this.#readers) reader.end(this.#isClosed ? null : error);
    this.#readers.clear();
  }

  readonly #abort = (): void => {
    const { signal } = this.#settings;
    if (signal !== undefined && this.#end === null) this.#stop(aborted('the shared map', signal));
  };

  /** @throws the error with which it failed */
  #check(): void {
    if (this.#end !== null && !this.#isClosed) throw this.#end;
  }

  // ---------------------------------------------------------------- machine and connections

  #sink(): MapClientSink {
    return {
      ask: (endpoint) => this.#links.ask(endpoint),
      stopAsking: () => this.#links.stopAsking(),
      send: (endpoint, change) => this.#links.send(endpoint, change),
      changed: (key, before, after) => {
        for (const reader of this.#readers) reader.changed(key, before, after);
      },
      replaced: (before, after) => {
        for (const reader of this.#readers) reader.replaced(before, after);
      },
      synced: (endpoint) => {
        this.#waiting?.resolve();
        this.#waiting = null;
        this.#listeners.emit('synced', { endpoint: this.#endpointAt(endpoint) });
      },
      lost: (endpoint, reason) => {
        this.#listeners.emit('lost', { endpoint: this.#endpointAt(endpoint), reason });
      },
      unserved: () => {
        const text = `no node serves a map at ${this.#settings.endpoints.join(', ')}; ${MAP_TO_CHECK} Trying again`;
        process.emitWarning(text, { code: 'MDP_MAP_UNSERVED' });
      },
      failed: (error) => this.#stop(error),
    };
  }

  /** Tells the machine what happens, and when it wants to be called next. */
  #linkEvents(): MapLinksEvents {
    const client = this.#client;
    const heard = (tell: () => void): void => {
      tell();
      this.#ticker.want(client.dueAt);
    };
    return {
      subscribed: (endpoint) => client.subscribed(endpoint),
      unsubscribed: (endpoint) => heard(() => client.unsubscribed(endpoint, monotonicMs())),
      keyRefused: (endpoint) => client.keyRefused(endpoint),
      published: (endpoint, frames) => {
        client.published(endpoint, frames, monotonicMs());
        this.#ticker.want(client.dueAt);
      },
      answered: (frames) => {
        client.answered(frames, monotonicMs());
        this.#ticker.want(client.dueAt);
      },
      askFailed: () => heard(() => client.askFailed(monotonicMs())),
      writable: (endpoint) => client.writable(endpoint),
      unwritable: (endpoint) => client.unwritable(endpoint),
    };
  }

  #endpointAt(index: number): string {
    return this.#settings.endpoints[index] ?? '';
  }

  // ---------------------------------------------------------------- values

  #bytesOf(value: In): Buffer {
    const body: BodyFrames = this.#encode === null ? bodyFrames(value) : this.#encode(value);
    if (!isFrame(body)) throw sdkError('ERR_MDP_BODY', 'a value of a map is text or bytes');
    if (body.length > 0) return Buffer.from(body.buffer, body.byteOffset, body.length);
    throw sdkError('ERR_MDP_BODY', 'a value of a map is not empty: delete() removes a key');
  }

  #valueOf(bytes: Buffer): Out {
    const decode = this.#decode;
    let known = this.#decoded.get(bytes);
    if (known === undefined) {
      known = { value: decode === null ? bytes : decode(bytes) };
      if (decode !== null) this.#decoded.set(bytes, known);
    }
    return known.value as Out;
  }

  #changeOf(key: string, bytes: Buffer | undefined): MapChange<Out> {
    const valueOf = (): Out | null => (bytes === undefined ? null : this.#valueOf(bytes));
    return {
      key,
      bytes: bytes ?? null,
      get value() {
        return valueOf();
      },
    };
  }
}

/** Somebody waits for `synced`. */
interface Waiting {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function newWaiting(): Waiting {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}

function aborted(what: string, signal: AbortSignal): MajordomoError {
  return sdkError('ERR_MDP_ABORTED', `${what} was aborted`, { cause: signal.reason });
}

/** A key as text. */
function textOf(key: string): string {
  return Buffer.from(key, 'latin1').toString('utf8');
}
