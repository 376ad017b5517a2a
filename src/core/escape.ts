const PERCENT = 0x25;
const FIRST_PRINTABLE = 0x20;
const LAST_PRINTABLE = 0x7e;

const PRINTABLE_ASCII = /^[ -~]*$/;

const HEX = '0123456789ABCDEF';
/** Maximum size of one escaped byte. */
const ESCAPED_BYTES = 3;

/**
 * Shows bytes that a peer chose (a service name) as text: printable ASCII as it is, everything else
 * and `%` itself as `%XX`, so that two names never look the same (D3).
 */
export function escapeName(bytes: Uint8Array): string {
  // A string concatenated from pieces keeps all the pieces in memory, fifty bytes a character.
  const text = Buffer.allocUnsafe(bytes.length * ESCAPED_BYTES);
  let length = 0;
  for (const byte of bytes) {
    if (byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE && byte !== PERCENT) {
      text[length++] = byte;
    } else {
      text[length++] = PERCENT;
      text[length++] = HEX.charCodeAt(byte >> 4);
      text[length++] = HEX.charCodeAt(byte & 0xf);
    }
  }
  return text.toString('latin1', 0, length);
}

/** Text that a peer chose as one harmless line: control characters are replaced. */
export function oneLine(text: string): string {
  // The usual case, in a tenth of the time.
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}

/** Text with `\u{1b}` for what a terminal would act on; newlines and tabs stay. */
export function escapeControls(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]/gu, escaped);
}

/** Text on one line, with `\u{a}` for what would end it, and for all else that a terminal would act on. */
export function escapedLine(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped);
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** C1 controls, and invisible characters that JSON does not escape. */
const UNSEEN =
  /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/**
 * JSON that is safe to print on a terminal, whatever text it contains: JSON itself escapes no
 * control character above U+001F, and U+009B alone begins a terminal escape sequence.
 */
export function terminalSafeJson(value: unknown, indent = 0): string {
  return escapeUnseen(JSON.stringify(value, null, indent));
}

/** JSON with escapes for the characters that it may contain and a terminal acts on. */
export function escapeUnseen(json: string): string {
  return json.replace(
    UNSEEN,
    (unseen) => `\\u${unseen.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * The bytes of an escaped name; other characters stand for their UTF-8 bytes.
 * @returns `null` if a `%` does not begin a `%XX`
 */
export function unescapeName(text: string): Buffer | null {
  if (/%(?![\da-f]{2})/i.test(text)) return null;
  const parts = text.split(/(%[\da-f]{2})/i).map((part, index) =>
    // The odd parts are the separators.
    index % 2 === 1 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part, 'utf8'),
  );
  return Buffer.concat(parts);
}
