const PERCENT = 0x25;
const FIRST_PRINTABLE = 0x20;
const LAST_PRINTABLE = 0x7e;

/**
 * Shows bytes that a peer chose (a service name) as text: printable ASCII as it is, everything else
 * and `%` itself as `%XX`, so that two names never look the same (D3).
 */
export function escapeName(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    text +=
      byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE && byte !== PERCENT
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/**
 * The bytes of a name that is given as it is shown; what is not ASCII stands for its UTF-8.
 * @returns `null` if a `%` begins no `%XX`
 */
export function unescapeName(text: string): Buffer | null {
  if (/%(?![\da-f]{2})/i.test(text)) return null;
  const parts = text.split(/(%[\da-f]{2})/i).map((part, index) =>
    // The odd ones are what was split by.
    index % 2 === 1 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part, 'utf8'),
  );
  return Buffer.concat(parts);
}
