/**
 * Reads the heads that nearly all programs send, without Node's parser: a method, a path, and header fields of which none
 * says anything about the connection or comes twice. Whatever is not surely read as Node reads it is left to Node: other
 * characters, empty values, space around a name or behind a value, any coding of the body.
 */
import type { HeaderValues } from '../http/route.js';

/** The longest head that is read here: what a connection counts for (see `parser-turns.ts`) has room for it. */
const HEAD_BYTES_MAX = 4096;
const FIELDS_MAX = 64;
const HEAD_END = '\r\n\r\n';
const LINE_END = '\r\n';
/** The path of RFC 3986, with a query: Node takes more. */
const FIRST_LINE = /^(GET|POST|DELETE) (\/[\w.~!$&'()*+,;=:@/?%-]*) HTTP\/1\.1\r\n/;
const FIELD = /(?<=\n)([\w-]+): *([!-~](?:[ -~]*[!-~])?)\r\n/y;
/** A longer body has hardly arrived with its head. */
const LENGTH = /^\d{1,5}$/;
const KEPT = /^keep-alive$/i;
/** The parser of Node, and its server, do something because of these. */
const FOR_NODE: ReadonlySet<string> = new Set([
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export interface PlainHead {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: HeaderValues;
  /** Where the body begins, and where it ends. */
  readonly bodyAt: number;
  readonly end: number;
}

/** @returns `null`: Node's parser has to read it, or the body has not arrived */
export function plainHeadIn(bytes: Buffer): PlainHead | null {
  const last = bytes.subarray(0, HEAD_BYTES_MAX).indexOf(HEAD_END, 0, 'latin1');
  if (last < 0) return null;
  const text = bytes.toString('latin1', 0, last + LINE_END.length);
  const [line, method = '', target = ''] = FIRST_LINE.exec(text) ?? [];
  if (line === undefined) return null;
  const headers = fieldsIn(text, line.length);
  if (headers === null) return null;
  const length = headers['content-length']?.[0] ?? '0';
  const bodyAt = last + HEAD_END.length;
  const end = bodyAt + Number(length);
  if (!LENGTH.test(length) || end > bytes.length) return null;
  return { method, target, headers, bodyAt, end };
}

function fieldsIn(text: string, from: number): HeaderValues | null {
  const headers = Object.create(null) as Record<string, readonly string[]>;
  FIELD.lastIndex = from;
  for (let count = 0; FIELD.lastIndex < text.length; count++) {
    const [, given = '', value = ''] = FIELD.exec(text) ?? [];
    const name = given.toLowerCase();
    if (name === '' || name in headers || FOR_NODE.has(name) || count >= FIELDS_MAX) return null;
    // Anything else that it may say is of the connection.
    if (name === 'connection' && !KEPT.test(value)) return null;
    headers[name] = [value];
  }
  return headers;
}
