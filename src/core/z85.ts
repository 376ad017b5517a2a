/** 32/Z85: bytes as printable text, five characters for four bytes. How CURVE keys are written. */

const ALPHABET =
  '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const BASE = ALPHABET.length;
const WORD_MAX = 0xffff_ffff;

/** @param bytes a multiple of four long */
export function encodeZ85(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    let word = 0;
    for (let index = 0; index < 4; index++) word = word * 256 + (bytes[at + index] ?? 0);
    let group = '';
    for (let digit = 0; digit < 5; digit++) {
      group = ALPHABET.charAt(word % BASE) + group;
      word = Math.floor(word / BASE);
    }
    text += group;
  }
  return text;
}

/** The bytes, or `null` if the text is no Z85. */
export function decodeZ85(text: string): Buffer | null {
  if (text.length % 5 !== 0) return null;
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (let index = 0; index < 5; index++) {
      const digit = ALPHABET.indexOf(text.charAt(at + index));
      if (digit < 0) return null;
      word = word * BASE + digit;
    }
    if (word > WORD_MAX) return null;
    bytes.writeUInt32BE(word, (at / 5) * 4);
  }
  return bytes;
}

export const CURVE_KEY_BYTES = 32;

/** A CURVE key written in Z85 (40 characters), or `null`. */
export function decodeCurveKey(text: string): Buffer | null {
  const bytes = decodeZ85(text);
  return bytes?.length === CURVE_KEY_BYTES ? bytes : null;
}
