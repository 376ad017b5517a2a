/** A client's half of 10/FLP: what it sends to a server, and what it receives. */
import type { Frames } from '../core/frames.js';

/** The question whether a server serves. */
export const PING: Buffer = Buffer.from('PING');
/** The answer to it. */
export const PONG: Buffer = Buffer.from('PONG');

/** What a server sent: PONG, or `control frame, body+`. Any input is accepted. */
export function readFreelanceReply(frames: Frames): 'pong' | 'reply' | 'malformed' {
  if (frames.count > 1) return 'reply';
  return frames.count === 1 && frames.equals(0, PONG) ? 'pong' : 'malformed';
}
