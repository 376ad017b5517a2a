/** What a web server is sent with a request, and what its answers mean. No I/O. */
import { type IncomingHttpHeaders, validateHeaderValue } from 'node:http';

import { ServiceError } from '../../../sdk/service-error.js';
import type { Asked, Outcome } from './server.js';

/** The server could not, or would not, now: another may. */
const BUSY = new Set([408, 425, 429, 503]);
/** A server that names a longer time than this is asked again all the same. */
const RETRY_AFTER_MS_MAX = 60_000;
const WORDS_CHARACTERS_MAX = 200;
const ANY_TYPE = 'application/octet-stream';

/** Headers of the connection, and of the body that is sent here, not of the request. */
const OWN = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * @param login of this worker; with it, none of a client is passed on
 * @param id names this POST, for the logs of the server
 */
export function headersFor(
  { headers, frames, deadlineMs }: Pick<Asked, 'headers' | 'frames' | 'deadlineMs'>,
  contentType: string | undefined,
  login: string | undefined,
  id: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const passed = Object.entries(headers).filter(
    ([name, value]) =>
      !OWN.has(name) &&
      !(name === 'authorization' && login !== undefined) &&
      isSendable(name, value),
  );
  const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
  return {
    'x-request-id': id,
    'content-type': ANY_TYPE,
    ...Object.fromEntries(passed),
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    'content-length': String(bytes),
    ...(deadlineMs === 0
      ? {}
      : { 'majordomo-timeout-ms': String(Math.max(0, Math.ceil(deadlineMs - nowMs))) }),
  };
}

/** HTTP has no characters above U+00FF, and no line breaks. */
export function isSendable(name: string, value: string): boolean {
  try {
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

/** @param body of a failure only its beginning is needed @param nowMs wall time */
export function outcomeOf(
  status: number,
  { 'retry-after': retryAfter, location }: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): Outcome {
  if (status >= 200 && status < 300) return { kind: 'reply', frames: [body] };
  const isBusy = BUSY.has(status);
  const words =
    status >= 300 && status < 400
      ? `redirects are not followed: ${location ?? 'to nowhere'}`
      : firstWords(body);
  const error = new ServiceError(`http-${status}`, words, { retry: isBusy ? 'elsewhere' : true });
  return { kind: 'failed', error, pauseMs: isBusy ? retryAfterMs(retryAfter, nowMs) : null };
}

/** The text of a web page that people would read. */
function firstWords(body: Buffer): string {
  const text = body
    .toString('utf8')
    .replace(/<[^<>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return text.slice(0, WORDS_CHARACTERS_MAX).toWellFormed();
}

/** Seconds or a date (RFC 9110 §10.2.3); 0: neither. */
function retryAfterMs(text: string | undefined, nowMs: number): number {
  if (text === undefined) return 0;
  const ms = /^\d{1,10}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : 0;
}
