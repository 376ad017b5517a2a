import type { IncomingMessage } from 'node:http';

/** Node takes the first of several; a proxy before us may take the last. */
const ONCE: readonly string[] = ['host', 'authorization', 'content-length', 'transfer-encoding'];
const VERSIONS: readonly string[] = ['1.0', '1.1'];

/** Why a request that Node could parse is refused: a proxy may parse it differently. */
export function doubtOf({ httpVersion, headers, rawHeaders }: IncomingMessage): string | null {
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  if (ONCE.some((name) => names.indexOf(name) !== names.lastIndexOf(name))) {
    return 'a header that may appear only once appears twice';
  }
  if (!VERSIONS.includes(httpVersion)) return `HTTP/${httpVersion} is not supported`;
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return null;
  if (httpVersion === '1.0') return 'HTTP/1.0 does not allow Transfer-Encoding';
  // Node itself refuses a coding that does not end with chunked.
  return /[\s,]chunked$/i.test(coding) ? 'Transfer-Encoding must be chunked alone' : null;
}
