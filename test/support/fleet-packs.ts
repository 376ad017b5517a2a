/** A pack of a fleet as JSON. */
import { readEntries, readPack } from '../../src/extensions/fleet/machine/codec.js';
import { STAGE_FLEET } from './fleet-stage.js';
import { plain } from './plain-json.js';

/** @throws if it is none */
export function decodedPack(bytes: Buffer): {
  readonly head: { readonly chunk?: unknown };
  readonly entries: unknown;
} {
  const pack = readPack(bytes, STAGE_FLEET);
  if (typeof pack === 'string') throw new Error(`no pack: ${pack}`);
  const { entries: packed, ...head } = pack;
  const entries = head.chunk === null ? readEntries(packed) : [];
  if (entries === null) throw new Error('no entries');
  return { head: plain(head) as { readonly chunk?: unknown }, entries: plain(entries) };
}
