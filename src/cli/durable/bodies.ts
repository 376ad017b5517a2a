/** Shows bodies of stored requests. */
import { type Facts, factsIn, listIn } from '../common/facts.js';
import { printable, sizeText, terminalSafe } from '../common/output.js';

const HEX_ROW_BYTES = 16;

/**
 * @param bodies as the broker sent them: bytes of peers, which must not reach the terminal
 * unescaped
 */
export function bodiesText(bodies: Facts): string {
  const headers = factsText('headers', bodies['headers']);
  // What only its kind has, unless it is a request.
  const own = factsIn(bodies['own']) === null ? '' : factsText('its own', bodies['own']);
  const body = bodyText('request body', bodies['body']);
  return own + headers + body + bodyText('reply body', bodies['reply']);
}

function factsText(head: string, facts: unknown): string {
  const lines = Object.entries(factsIn(facts) ?? {}).map(([name, value]) => {
    return `${printable(name)}: ${printable(value)}\n`;
  });
  return lines.length === 0 ? `\n${head}: none\n` : `\n${head}\n${lines.join('')}`;
}

function bodyText(name: string, given: unknown): string {
  const body = factsIn(given);
  if (body === null) return `\n${name}: none\n`;
  const cut = body['cut'] === true ? ', truncated' : '';
  const head = `\n${name}, ${sizeText(body['bytes'])}${cut}\n`;
  return head + listIn(body['frames']).map(frameText).join('');
}

function frameText({ bytes, encoding, data }: Facts, index: number): string {
  const text = typeof data === 'string' ? data : '';
  const shown = encoding === 'base64' ? hexRows(Buffer.from(text, 'base64')) : terminalSafe(text);
  const end = shown === '' || shown.endsWith('\n') ? '' : '\n';
  return `frame ${index + 1}, ${sizeText(bytes)}\n${shown}${end}`;
}

/** Offset, sixteen bytes, and the printable ASCII among them. */
function hexRows(bytes: Buffer): string {
  let rows = '';
  for (let at = 0; at < bytes.length; at += HEX_ROW_BYTES) {
    const row = bytes.subarray(at, at + HEX_ROW_BYTES);
    const digits = (row.toString('hex').match(/../g) ?? []).join(' ');
    const ascii = row.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.');
    const offset = at.toString(16).padStart(8, '0');
    rows += `${offset}  ${digits.padEnd(HEX_ROW_BYTES * 3 - 1)}  ${ascii}\n`;
  }
  return rows;
}
