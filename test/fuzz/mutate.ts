/** Makes inputs of inputs. */
import type { Dice } from './dice.js';

const TELLING_BYTES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x7f, 0x80, 0xfe, 0xff];
const TELLING_NUMBERS = [0, 1, 255, 256, 65535, 0x7fffffff, 0x80000000, 0xffffffff];
const CHANGES_MAX = 6;

/**
 * @param other another input, to cross it with
 * @param words pieces that mean something
 */
export function mutated(
  input: Buffer,
  other: Buffer,
  words: readonly Buffer[],
  dice: Dice,
  bytesMax: number,
): Buffer {
  let bytes: Buffer = Buffer.from(input);
  // One change most of the time: a session that was recorded, with one byte changed.
  const changes = dice.below(2) === 0 ? 1 : 1 + dice.below(CHANGES_MAX);
  for (let n = 0; n < changes; n++) bytes = changed(bytes, other, words, dice);
  return bytes.length > bytesMax ? bytes.subarray(0, bytesMax) : bytes;
}

function changed(bytes: Buffer, other: Buffer, words: readonly Buffer[], dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1);
  const size = 1 + dice.below(16);
  switch (dice.below(11)) {
    case 0:
      return set(bytes, at, dice.below(256));
    case 1:
      return set(bytes, at, (bytes[at] ?? 0) ^ (1 << dice.below(8)));
    case 2:
      return set(bytes, at, dice.pick(TELLING_BYTES));
    case 3:
      return set(bytes, at, ((bytes[at] ?? 0) + 1 + dice.below(4) - 2) & 0xff);
    case 4:
      return spliced(bytes, at, size, Buffer.alloc(0));
    case 5:
      return spliced(bytes, at, 0, bytes.subarray(at, at + size));
    case 6:
      return spliced(bytes, at, 0, randomBytes(size, dice));
    case 7: {
      if (words.length === 0) return set(bytes, at, dice.below(256));
      const word = dice.pick(words);
      return spliced(bytes, at, dice.below(2) === 0 ? word.length : 0, word);
    }
    case 8: {
      const from = dice.below(other.length + 1);
      return spliced(bytes, at, dice.below(32), other.subarray(from, from + 4 * size));
    }
    case 9: {
      const number = Buffer.alloc(4);
      number.writeUInt32BE(dice.pick(TELLING_NUMBERS));
      return spliced(bytes, at, 4, number);
    }
    default: {
      // A larger piece somewhere else.
      const from = dice.below(bytes.length + 1);
      return spliced(bytes, at, 0, bytes.subarray(from, from + dice.below(128)));
    }
  }
}

function set(bytes: Buffer, at: number, value: number): Buffer {
  if (at >= bytes.length) return Buffer.concat([bytes, Buffer.from([value])]);
  bytes[at] = value;
  return bytes;
}

function spliced(bytes: Buffer, at: number, removed: number, inserted: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}

function randomBytes(size: number, dice: Dice): Buffer {
  return Buffer.from(Array.from({ length: size }, () => dice.below(256)));
}
