import { Frames } from '../../../src/core/frames.js';
import { asRead } from '../../support/packed-frames.js';

/** A frame as a test writes it: one character a byte (latin1). */
export type FrameText = string;

export function bytesOf(frame: FrameText): Buffer {
  return Buffer.from(frame, 'latin1');
}

export function textOf(frame: Uint8Array): FrameText {
  return Buffer.from(frame).toString('latin1');
}

/** The frames `[from, to)` of a message as text. */
export function textsOf(frames: Frames, from = 0, to: number = frames.count): FrameText[] {
  const texts: FrameText[] = [];
  for (let index = from; index < to; index++) texts.push(textOf(frames.view(index)));
  return texts;
}

/** Each frame in a buffer of its own, with other bytes before and after it. */
export function scattered(message: readonly FrameText[]): Frames {
  const frames = new Frames();
  for (const [index, frame] of message.entries()) {
    const lead = 'MDPC02\x01'.slice(0, index % 8);
    frames.push(bytesOf(`${lead}${frame}\x01MDPW01`), lead.length, lead.length + frame.length);
  }
  return frames;
}

/** All frames in one chunk, one after the other with nothing in between. */
function chunked(message: readonly FrameText[]): Frames {
  const chunk = bytesOf(`\xff${message.join('')}\xff`);
  const frames = new Frames();
  let at = 1;
  for (const frame of message) {
    frames.push(chunk, at, at + frame.length);
    at += frame.length;
  }
  return frames;
}

/** An instance that held `before` and was then given this message, as transports reuse them. */
export function reused(message: readonly FrameText[], before: readonly FrameText[]): Frames {
  const frames = scattered(before);
  frames.clear();
  for (const frame of message) frames.push(bytesOf(frame), 0, frame.length);
  return frames;
}

const STALE: readonly (readonly FrameText[])[] = [
  Array.from({ length: 16 }, () => '\x01'),
  Array.from({ length: 16 }, () => '\x03'),
  Array.from({ length: 16 }, () => ''),
  Array.from({ length: 16 }, () => 'MDPC01'),
  Array.from({ length: 16 }, () => '10'),
];

/**
 * One message in every way in which a transport may hand it over.
 * @param before a message that the reused instance held before this one
 */
export function layouts(
  message: readonly FrameText[],
  before: readonly FrameText[] = message,
): Frames[] {
  return [
    Frames.of(...message.map(bytesOf)),
    scattered(message),
    chunked(message),
    asRead(scattered(message)),
    reused(message, before),
    ...STALE.map((stale) => reused(message, stale)),
  ];
}

/** `ABC` → ``, `A`, `AB`: the message cut short after each frame. */
export function truncations(message: readonly FrameText[]): FrameText[][] {
  return message.map((_, count) => message.slice(0, count));
}

/** Envelope ids, `count` of them. */
export function ids(count: number): FrameText[] {
  return Array.from({ length: count }, (_, index) => `id-${String(index)}`);
}
