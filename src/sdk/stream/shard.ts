/** A shard of a subscriber, in its thread: reads, and calls the handler for each message in turn. */
import { parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { codeOf, detailsOf, messageOf } from '../../core/errors.js';
import { sdkError } from '../errors.js';
import type { FromShard, ShardData, ShardHandler, ToShard } from './shard-messages.js';
import type { StreamMessage } from './stream-message.js';
import { StreamReader } from './stream-reader.js';
import type { ReaderSettings } from './subscriber-options.js';

/** @param load imports a module by its URL */
export async function runShard(load: (url: string) => Promise<unknown>): Promise<void> {
  const port = present(parentPort, 'this is the thread of a shard');
  const data = workerData as ShardData;
  let reader: StreamReader | null = null;
  let isClosing = false;
  const end = (): void => {
    isClosing = true;
    // Nothing else keeps the thread alive, when the handler is done.
    port.close();
    void reader?.close();
  };
  const tell = (message: FromShard): void => {
    if (!isClosing) port.postMessage(message);
  };
  const fail = (code: string | null, error: unknown): void => {
    tell({ kind: 'failed', code, message: messageOf(error), details: cloneable(detailsOf(error)) });
    end();
  };
  port.on('message', (message: ToShard) => {
    if (message === 'close') end();
    else tell({ kind: 'pong' });
  });
  try {
    const { handler, stamp } = await handlerOf(data.handler, load);
    if (isAlreadyOver()) return;
    reader = new StreamReader(settingsOf(data, stamp), {
      connected: (endpoint) => tell({ kind: 'connected', endpoint }),
      disconnected: (endpoint) => tell({ kind: 'disconnected', endpoint }),
      // Also while a handler does not return.
      failed: (error) => fail(codeOf(error) ?? null, error),
    });
    tell({ kind: 'pong' });
    const context = { shard: data.shard };
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
      // Messages that have arrived already are handled without a promise for each.
      for (
        let message: StreamMessage | null = next.value;
        message !== null;
        message = reader.take()
      ) {
        const handling: unknown = handler(message, context);
        if (isThenable(handling)) await handling;
      }
    }
  } catch (error) {
    fail(codeOf(error) === 'ERR_MDP_OPTION' ? 'ERR_MDP_OPTION' : null, error);
  }

  // (A function, because the compiler does not see that `end` may have been called.)
  function isAlreadyOver(): boolean {
    return isClosing;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

interface HandlerModule {
  readonly handler: ShardHandler;
  readonly stamp: ((frames: readonly Buffer[]) => number) | null;
}

/** @throws ERR_MDP_OPTION if it has no such function */
async function handlerOf(
  url: string,
  load: (url: string) => Promise<unknown>,
): Promise<HandlerModule> {
  const module = (await load(url)) as Readonly<Record<string, unknown>>;
  const { stamp = null } = module;
  // The `default` of a CommonJS module that TypeScript made is its `exports`, which have a `default`.
  const { default: given } = module;
  const handler =
    typeof given === 'object' && given !== null
      ? (Reflect.get(given, 'default') as unknown)
      : given;
  if (typeof handler !== 'function') throw wrongModule('must export a function as default');
  if (stamp !== null && typeof stamp !== 'function') {
    throw wrongModule('exports stamp, which must be a function');
  }
  return { handler: handler as ShardHandler, stamp: stamp as HandlerModule['stamp'] };
}

function wrongModule(what: string): Error {
  const text = `the module of handler ${what}`;
  return sdkError('ERR_MDP_OPTION', text, { details: { option: 'handler' } });
}

function settingsOf(data: ShardData, stamp: HandlerModule['stamp']): ReaderSettings {
  const { endpoints, topics, maxDelayMs, onGap, bufferBytes, curve } = data;
  return {
    endpoints,
    maxDelayMs,
    onGap,
    bufferBytes,
    signal: null,
    topics: topics.map((topic) => Buffer.from(topic)),
    stamp: stamp ?? data.stamp,
    curve:
      curve === null
        ? null
        : {
            serverKey: Buffer.from(curve.serverKey),
            publicKey: Buffer.from(curve.publicKey),
            secretKey: Buffer.from(curve.secretKey),
          },
  };
}

/** What a thread can tell another one of an error's details. */
function cloneable(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  try {
    return structuredClone(details);
  } catch {
    return {};
  }
}
