/** Sends one webhook. */
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';

import { messageOf } from '../../core/errors.js';
import type { WebhookTargets } from './webhook-target.js';

/** For everything until the status is here: look-up, connection, TLS, and the receiver's work. */
const TIMEOUT_MS = 15_000;
const CONNECT_MS = 5000;
const HEAD_BYTES_MAX = 16_384;
/** So much of the answer is read, so that a receiver that writes one is not cut off. */
const ANSWER_BYTES_MAX = 65_536;
const ANSWER_MS = 1000;

export type Sent =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'failed'; readonly why: string };

/** @param signal gives it up */
export function postWebhook(
  target: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  { lookup }: Pick<WebhookTargets, 'lookup'>,
  signal: AbortSignal,
): Promise<Sent> {
  const url = new URL(target);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve) => {
    const request = send(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' },
      ...{ agent: false, lookup, signal, maxHeaderSize: HEAD_BYTES_MAX },
    });
    const end = (sent: Sent): void => {
      clearTimeout(total);
      clearTimeout(connecting);
      resolve(sent);
    };
    const giveUp = (why: string): void => {
      end({ kind: 'failed', why });
      request.destroy();
    };
    const total = setTimeout(giveUp, TIMEOUT_MS, `no answer within ${TIMEOUT_MS} ms`);
    const connecting = setTimeout(giveUp, CONNECT_MS, `no connection within ${CONNECT_MS} ms`);
    request.on('socket', (socket) => {
      const connected = url.protocol === 'https:' ? 'secureConnect' : 'connect';
      socket.once(connected, () => {
        clearTimeout(connecting);
      });
    });
    request.on('error', (error) => {
      end({ kind: 'failed', why: messageOf(error) });
    });
    request.on('response', (answer) => {
      end({ kind: 'status', status: answer.statusCode ?? 0 });
      discard(answer, () => request.destroy());
    });
    request.end(body);
  });
}

function discard(answer: IncomingMessage, drop: () => void): void {
  let bytes = 0;
  const timer = setTimeout(drop, ANSWER_MS);
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) drop();
  });
  answer.on('error', () => undefined);
  answer.once('close', () => {
    clearTimeout(timer);
  });
}
