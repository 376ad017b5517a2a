/**
 * The keys in files of CURVE keys, as `majordomo keygen` writes them, the key alone, or in a certificate of
 * CZMQ (zcert), which other ZeroMQ libraries write, too.
 */
import { decodeCurveKey } from './z85.js';

/**
 * The section of a certificate that has the keys: the lines below, up to one that is not indented. Its
 * own line may have a value (4/ZPL).
 */
const SECTION = /^curve[ \t\r]*(?:[=#][^\n]*)?((?:\n(?:[ \t\r#][^\n]*)?)+)/m;
/** The lines of the keys in that section. */
const IN_SECTION = {
  public: /^[ \t]+public-key[ \t]*=[ \t]*(["']?)(\S{40})\1[ \t\r]*(?:#.*)?$/m,
  secret: /^[ \t]+secret-key[ \t]*=[ \t]*(["']?)(\S{40})\1[ \t\r]*(?:#.*)?$/m,
};

/** The key in the text of such a file; `null`: it has none. */
export function curveKeyIn(text: string, kind: 'public' | 'secret'): Buffer | null {
  const section = SECTION.exec(text)?.[1] ?? '';
  return decodeCurveKey(IN_SECTION[kind].exec(section)?.[2] ?? text.trim());
}
