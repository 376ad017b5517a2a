/** The greeting of 23/ZMTP §Greeting and 37/ZMTP: the first 64 bytes that each side sends. */

export const GREETING_BYTES = 64;
/** Signature and major version: sent before the peer's mechanism is known. */
export const GREETING_HEAD_BYTES = 11;
const MECHANISM_AT = 12;
const MECHANISM_BYTES = 20;
const AS_SERVER_AT = 32;
const MAJOR = 3;
const MINOR = 1;

/** Both forms of the PROXY protocol begin with these. */
const PROXY_HEADS = ['PROXY ', '\r\n\r\n\0\r\nQUIT\n'].map((head) => Buffer.from(head));
const NO_PROXY_HEAD =
  'not ZMTP: the PROXY protocol comes first; switch it off at the load balancer for this port (HAProxy: send-proxy)';

/** The answer of an HTTP server to a greeting begins with this. */
const HTTP_HEAD = Buffer.from('HTTP/');

/** What is wrong with values below `MAJOR`, which are revisions (15/ZMTP); 1 is ZMTP 2.0. */
const FORMER: readonly (string | null)[] = [
  'ZMTP 1.0 is too old: a listener with transport: libzmq speaks it',
  null,
  'a draft of ZMTP, older than 3.0',
];

export type MechanismName = 'NULL' | 'CURVE';

export function greeting(mechanism: MechanismName, asServer: boolean): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = MAJOR;
  bytes[11] = MINOR;
  bytes.write(mechanism, MECHANISM_AT, 'latin1');
  bytes[AS_SERVER_AT] = asServer ? 1 : 0;
  return bytes;
}

/** The content of a peer's greeting. */
interface Greeting {
  readonly minor: number;
  /** The mechanism as the peer wrote it, without trailing zero bytes; other zero bytes stay visible. */
  readonly mechanism: string;
  readonly asServer: boolean;
}

/**
 * Checks the part of a greeting that has arrived, so that data other than ZMTP is refused at its
 * first byte.
 * @returns what is wrong, or `null`
 */
export function greetingFault(bytes: Buffer): string | null {
  const { length } = bytes;
  if (length > 0 && bytes[0] !== 0xff) {
    const hasHead = PROXY_HEADS.some((head) => bytes.subarray(0, head.length).equals(head));
    if (hasHead) return NO_PROXY_HEAD;
    const isHttp = bytes.subarray(0, HTTP_HEAD.length).equals(HTTP_HEAD);
    return isHttp ? 'not ZMTP 3: it is the port of an HTTP server' : 'not ZMTP 3: no signature';
  }
  if (length > 9 && ((bytes[9] ?? 0) & 1) !== 1) return 'not ZMTP 3: no signature';
  return length > 10 ? (FORMER[bytes[10] ?? 0] ?? null) : null;
}

/** Parses a complete greeting that has no fault. */
export function readGreeting(bytes: Buffer): Greeting {
  const field = bytes.subarray(MECHANISM_AT, MECHANISM_AT + MECHANISM_BYTES);
  let end = MECHANISM_BYTES;
  while (end > 0 && field[end - 1] === 0) end--;
  return {
    minor: bytes[11] ?? 0,
    mechanism: field.toString('latin1', 0, end),
    asServer: bytes[AS_SERVER_AT] === 1,
  };
}
