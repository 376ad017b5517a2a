import { EMPTY } from '../wire/mdp.js';
import { sdkError } from './errors.js';

/**
 * The body of a request or reply: text (sent as UTF-8), bytes, or an array of frames of either.
 *
 *     await client.request('resize', ['320x200', image]); // two frames
 */
export type Body = string | Uint8Array | readonly (string | Uint8Array)[];

/** The frames of a body; most bodies are one frame, which needs no array. */
export type BodyFrames = Uint8Array | readonly Uint8Array[];

/**
 * The frames of a body. Bytes are not copied: they must not change until the call has settled. An
 * empty array becomes one empty frame, because every MDP body has at least one.
 * @throws ERR_MDP_BODY
 */
export function bodyFrames(body: unknown): BodyFrames {
  if (!Array.isArray(body)) return bodyFrame(body);
  const parts: readonly unknown[] = body;
  if (parts.length === 0) return EMPTY;
  const frames: Uint8Array[] = [];
  // `map` passes over holes; with `Array.from` a client and a worker made a sixth fewer requests/s (`bench:before`).
  for (const part of parts) frames.push(bodyFrame(part));
  return frames;
}

/**
 * Whether a body is one frame. Not by `instanceof`: with Jest's jsdom, a Buffer is none of the global `Uint8Array`.
 */
export function isFrame(body: BodyFrames): body is Uint8Array {
  return !Array.isArray(body);
}

export function frameList(body: BodyFrames): readonly Uint8Array[] {
  return isFrame(body) ? [body] : body;
}

function bodyFrame(part: unknown): Uint8Array {
  if (typeof part === 'string') {
    // UTF-8 cannot say it: any two would become the same bytes.
    if (part.isWellFormed()) return Buffer.from(part, 'utf8');
    throw sdkError('ERR_MDP_BODY', 'the text of a body has half of a surrogate pair');
  }
  if (Buffer.isBuffer(part)) return part;
  // `ArrayBuffer.isView`, because an array from another realm is not an `instanceof`.
  if (ArrayBuffer.isView(part)) {
    return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  }
  checkAwaited(part);
  const is = part === null ? 'null' : typeof part;
  const hint = is === 'object' ? '; to send values as JSON, give the option `codec: json()`' : '';
  const text = `a body must be a string, bytes, or an array of these, not ${is}${hint}`;
  throw sdkError('ERR_MDP_BODY', text);
}

/** @throws ERR_MDP_BODY for a promise, which JSON would make `{}` */
export function checkAwaited(body: unknown): void {
  const { then } = (body ?? {}) as { then?: unknown };
  if (typeof then === 'function') {
    throw sdkError('ERR_MDP_BODY', 'a body cannot be a Promise: await it first');
  }
}

/** The bytes of a body, as a broker counts them (`limits.messageBytes`). */
export function bodyBytes(body: BodyFrames): number {
  if (isFrame(body)) return body.length;
  let bytes = 0;
  for (const frame of body) bytes += frame.length;
  return bytes;
}

/** The bytes of frames, plus some for each frame, so that empty frames also count. */
export function bodyCost(frames: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const frame of frames) bytes += frame.length + FRAME_OVERHEAD_BYTES;
  return bytes;
}

const FRAME_OVERHEAD_BYTES = 100;
