/**
 * Port P of the map: a ROUTER whose clients ask for snapshots. A snapshot is written piece by piece, as
 * its client reads: more than `OUTPUT_BYTES_MAX` never waits for one of them.
 */
import type { Frames } from '../../../core/frames.js';
import { pack, packedBytes } from '../../../core/packed.js';
import type { RouterLimits, Transport } from '../../../zmtp/port.js';
import { QUESTION_LIMITS } from '../../../zmtp/router/listening-socket.js';
import type { PeerId } from '../machine/sink.js';

/** What waits for one client. More would be a second copy of the map for each of them. */
const OUTPUT_BYTES_MAX = 256 * 1024;
/** Values of this size or more are not copied for each client. */
const LASTING_BYTES_MIN = 64 * 1024;

/** Writes a message for this client; `Transport.flush` sends it. */
export function writeRecord(transport: Transport, peer: PeerId, frames: Frames): void {
  const size = packedBytes(frames, 0, frames.count);
  const room = size < LASTING_BYTES_MIN ? transport.room(peer, size) : null;
  if (room !== null) {
    pack(frames, 0, frames.count, room.words.bytes, room.at, false);
    return;
  }
  const last = frames.count - 1;
  for (let index = 0; index <= last; index++) {
    const buffer = frames.buffer(index);
    const start = frames.start(index);
    const end = frames.end(index);
    // A long value is the record's own, which nobody changes; the others are written again.
    const isLasting = end - start >= LASTING_BYTES_MIN;
    if (isLasting) transport.writeLasting(peer, buffer, start, end, index < last);
    else transport.write(peer, buffer, start, end, index < last);
  }
}

/** The limits of port P: those of the broker's listeners, or smaller ones where it needs less. */
export function snapshotLimits(limits: RouterLimits): RouterLimits {
  return {
    ...limits,
    ...QUESTION_LIMITS,
    outputBytesMax: Math.min(OUTPUT_BYTES_MAX, limits.outputBytesMax),
    sparesReaders: false,
  };
}
