/** A request of several frames: `multipart/mixed` (RFC 2046), each part one frame. */
import { wrongParameter } from '../../admin/http/errors.js';
import type { Incoming } from '../../admin/http/route.js';

const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]*))/g;
const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';

/** The boundary of a body that is several frames; `null`: it is one. @throws ERR_HTTP_PARAMETER */
export function boundaryIn({ 'content-type': values }: Incoming['headers']): string | null {
  const [type = ''] = values ?? [];
  if (!/^multipart\/mixed\s*(;|$)/i.test(type)) return null;
  for (const [, name = '', quoted, plain = ''] of type.matchAll(PARAMETER)) {
    const boundary = quoted ?? plain;
    if (name.toLowerCase() === 'boundary' && BOUNDARY.test(boundary)) return boundary;
  }
  throw wrongParameter('Content-Type', 'multipart/mixed needs a boundary of 1 to 70 characters');
}

/**
 * The contents of the parts, as views. Their headers say nothing to a frame, and are left out.
 * @returns `null`: there are more than so many
 * @throws ERR_HTTP_PARAMETER
 */
export function partsOf(body: Buffer, boundary: string, most: number): readonly Buffer[] | null {
  const delimiter = `\r\n--${boundary}`;
  const frames: Buffer[] = [];
  // The first one may be at the very beginning, without a line end.
  const isFirst = body.subarray(0, delimiter.length - 2).equals(Buffer.from(delimiter.slice(2)));
  let at = isFirst ? 0 : body.indexOf(delimiter);
  let after = at + delimiter.length - (isFirst ? 2 : 0);
  while (at >= 0 && !isAt(body, after, '--')) {
    if (frames.length === most) return null;
    const line = body.indexOf(LINE_END, after);
    const next = line < 0 ? -1 : body.indexOf(delimiter, line + LINE_END.length);
    const isLine = next >= 0 && body.toString('latin1', after, line).trim() === '';
    const frame = isLine ? contentOf(body.subarray(line + LINE_END.length, next)) : null;
    if (frame === null) throw MALFORMED();
    frames.push(frame);
    at = next;
    after = at + delimiter.length;
  }
  if (at < 0 || frames.length === 0) throw MALFORMED();
  return frames;
}

/** What follows its headers and an empty line. */
function contentOf(part: Buffer): Buffer | null {
  if (part.length === 0) return part;
  if (isAt(part, 0, LINE_END)) return part.subarray(LINE_END.length);
  const head = part.indexOf(HEAD_END);
  return head < 0 ? null : part.subarray(head + HEAD_END.length);
}

function isAt(bytes: Buffer, at: number, text: string): boolean {
  return bytes.toString('latin1', at, at + text.length) === text;
}

const MALFORMED = (): Error =>
  wrongParameter('body', 'is not multipart/mixed with at least one part and this boundary');
