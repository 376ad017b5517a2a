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
