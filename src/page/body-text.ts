/** Bytes and JSON in readable form. */

const HEX_ROW_BYTES = 16;
const PART_HEAD_BYTES_MAX = 300;
const encoder = new TextEncoder();
/** Deeper levels are indented no further: deep nesting would make a huge text. */
const INDENTED_LEVELS = 40;

/** The bytes that someone has typed as text, base64 or hex; `null`: they are none. */
export function typedBytes(typed: string, way: string): Uint8Array<ArrayBuffer> | null {
  if (way === 'text') return encoder.encode(typed);
  const digits = typed.replaceAll(/\s/g, '');
  if (way === 'hex') {
    if (!/^(?:[\da-f]{2})*$/i.test(digits)) return null;
    return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  }
  try {
    return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

interface Part {
  /** Bytes of the whole part. */
  readonly bytes: number;
  /** The content of the part; only its beginning, if the answer was cut in it. */
  readonly data: Uint8Array;
  /** Where the part ends in the whole. */
  readonly end: number;
}

/** The parts of a `multipart/mixed` of this node, which gives the length of each, from the beginning of it. */
export function partsIn(read: Uint8Array): readonly Part[] {
  const parts: Part[] = [];
  for (let at = 0; ;) {
    const text = new TextDecoder('latin1').decode(read.subarray(at, at + PART_HEAD_BYTES_MAX));
    const head = /^--[^]*?\r\ncontent-length: (\d+)\r\n\r\n/.exec(text);
    if (head === null) return parts;
    const from = at + head[0].length;
    const bytes = Number(head[1]);
    at = from + bytes + '\r\n'.length;
    parts.push({ bytes, data: read.subarray(from, from + bytes), end: at });
  }
}

/** Rows of offset, sixteen bytes in hex, and the same bytes as ASCII. */
export function hexRows(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_ROW_BYTES) {
    const row = [...bytes.subarray(at, at + HEX_ROW_BYTES)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((byte) => (byte < 0x20 || byte > 0x7e ? '.' : String.fromCharCode(byte)));
    const offset = at.toString(16).padStart(8, '0');
    rows.push(`${offset}  ${digits.padEnd(HEX_ROW_BYTES * 3 - 1)}  ${ascii.join('')}`);
  }
  return rows.join('\n');
}

/** A string, also one without an end, a bracket or comma or colon, white space, or any other value. */
const TOKENS = /"(?:[^"\\]|\\.)*"?|[[\]{},:]|\s+|[^\s"[\]{},:]+/g;

/**
 * Breaks JSON into lines, and keeps its numbers and strings as they are: parsing and printing it
 * would change large numbers.
 * @returns `null` if the text is not JSON
 */
export function prettyJson(text: string): string | null {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const parts: string[] = [];
  let level = 0;
  let isOpened = false;
  const breakLine = (): void => {
    parts.push(`\n${'  '.repeat(Math.min(level, INDENTED_LEVELS))}`);
  };
  for (const [token] of text.matchAll(TOKENS)) {
    if (/^\s/.test(token)) continue;
    const isEnd = token === ']' || token === '}';
    if (isEnd) level--;
    if (isEnd !== isOpened) breakLine();
    isOpened = token === '[' || token === '{';
    if (isOpened) level++;
    parts.push(token === ':' ? ': ' : token);
    if (token === ',') breakLine();
  }
  return parts.join('');
}
