import type { IncomingMessage } from 'node:http';

/** Headers that may appear once: Node takes the first of several, a proxy before us may take the last. */
const ONCE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'transfer-encoding',
]);
const VERSIONS: readonly string[] = ['1.0', '1.1'];

/**
 * Why a request is refused although Node could parse it: a proxy may read it differently. `null`: it is not
 * ambiguous.
 */
export function ambiguityOf({ httpVersion, headers, rawHeaders }: IncomingMessage): string | null {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) return 'a header that may appear only once appears twice';
    seen.add(name);
  }
  if (!VERSIONS.includes(httpVersion)) return `HTTP/${httpVersion} is not supported`;
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return null;
  if (httpVersion === '1.0') return 'HTTP/1.0 does not allow Transfer-Encoding';
  // Node itself refuses a coding that does not end with chunked.
  return /[\s,]chunked$/i.test(coding) ? 'Transfer-Encoding must be chunked alone' : null;
}
