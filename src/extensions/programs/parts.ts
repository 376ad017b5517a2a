/** A request of several frames: `multipart/mixed` (RFC 2046), each part one frame. */
import { setImmediate } from 'node:timers/promises';

import { wrongParameter } from '../../admin/http/errors.js';
import type { Incoming } from '../../admin/http/route.js';
import type { Frames } from '../../core/frames.js';

const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]*))/g;
/** Parts that are read before others have their turn. */
const AT_ONCE_MAX = 256;
const LINE_END = Buffer.from('\r\n');
const LAST = Buffer.from('--');
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
 * Adds the contents of the parts to `frames`. Their headers say nothing to a frame, and are left out.
 * @returns false: there would be more than `most` frames
 * @throws ERR_HTTP_PARAMETER
 */
export async function addParts(
  body: Buffer,
  boundary: string,
  frames: Frames,
  most: number,
): Promise<boolean> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const before = frames.count;
  // The first one may be at the very beginning, without a line end.
  const isFirst = body.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2));
  let at = isFirst ? 0 : body.indexOf(delimiter);
  let after = at + delimiter.length - (isFirst ? 2 : 0);
  while (at >= 0 && !isAt(body, after, LAST)) {
    if (frames.count === most) return false;
    if (frames.count % AT_ONCE_MAX === 0) await setImmediate();
    const line = body.indexOf(LINE_END, after);
    const next = line < 0 ? -1 : body.indexOf(delimiter, line + LINE_END.length);
    const isEmpty = line === after || body.toString('latin1', after, line).trim() === '';
    const from = next >= 0 && isEmpty ? contentAt(body, line + LINE_END.length, next) : -1;
    if (from < 0) throw MALFORMED();
    frames.push(body, from, next);
    at = next;
    after = at + delimiter.length;
  }
  if (at < 0 || frames.count === before) throw MALFORMED();
  return true;
}

/** Where the content of a part begins, after its headers and an empty line; -1: it has none. */
function contentAt(body: Buffer, from: number, to: number): number {
  if (from === to) return from;
  if (isAt(body, from, LINE_END)) return from + LINE_END.length;
  const head = body.subarray(from, to).indexOf(HEAD_END);
  return head < 0 ? -1 : from + head + HEAD_END.length;
}

/** @param two bytes */
function isAt(bytes: Buffer, at: number, two: Buffer): boolean {
  return bytes[at] === two[0] && bytes[at + 1] === two[1];
}

const MALFORMED = (): Error =>
  wrongParameter('body', 'is not multipart/mixed with at least one part and this boundary');
