/**
 * Globs over names of services: `*` matches any run of bytes, `?` one byte. They are written like
 * escaped names, so `%2A` is a star and `%25` a percent sign (see `escapeName`); characters outside
 * ASCII stand for their UTF-8 bytes.
 */

const STAR = 0x100;
const ANY = 0x101;

/** A parsed glob: bytes, `STAR` and `ANY`. */
type Glob = Uint16Array;

/** @returns `null` if a `%` is not followed by two hexadecimal digits, or the text is empty */
function parseGlob(text: string): Glob | null {
  if (text.length === 0) return null;
  const bytes = Buffer.from(text, 'utf8');
  const glob: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x25) {
      const digits = bytes.toString('latin1', at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) return null;
      glob.push(Number.parseInt(digits, 16));
      at += 2;
    } else if (byte === 0x2a) {
      // Adjacent stars are one star.
      if (glob.at(-1) !== STAR) glob.push(STAR);
    } else {
      glob.push(byte === 0x3f ? ANY : byte);
    }
  }
  return Uint16Array.from(glob);
}

/** True if a text is a glob. */
export function isGlob(text: string): boolean {
  return parseGlob(text) !== null;
}

/**
 * A set of globs. Matching takes time proportional to the length of the name times the length of
 * the globs, whatever they contain; globs without wildcards are looked up in a table.
 */
export class GlobSet {
  static readonly all: GlobSet = GlobSet.of(['*']);
  static readonly none: GlobSet = GlobSet.of([]);

  /** True if it matches every name. */
  readonly isAll: boolean;
  /** True if it matches no name. */
  readonly isNone: boolean;
  /** The globs as written. */
  readonly patterns: readonly string[];
  readonly #exact = new Set<string>();
  readonly #globs: Glob[] = [];

  private constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    this.isNone = patterns.length === 0;
    let isAll = false;
    for (const pattern of patterns) {
      const glob = parseGlob(pattern);
      if (glob === null) throw new TypeError(`not a glob: ${JSON.stringify(pattern)}`);
      if (glob.length === 1 && glob[0] === STAR) isAll = true;
      if (glob.some((each) => each >= STAR)) this.#globs.push(glob);
      else this.#exact.add(Buffer.from(glob).toString('latin1'));
    }
    this.isAll = isAll;
  }

  /** @throws TypeError if one of them is not a glob: see `isGlob` */
  static of(patterns: readonly string[]): GlobSet {
    return new GlobSet(patterns);
  }

  /** Whether one of the globs is this very name, without wildcards. */
  names(name: Buffer): boolean {
    return this.#exact.has(name.toString('latin1'));
  }

  /** Whether the name `[start, end)` of `bytes` matches one of the globs. */
  matches(bytes: Buffer, start: number, end: number): boolean {
    if (this.isAll) return true;
    if (this.#exact.size > 0 && this.#exact.has(bytes.toString('latin1', start, end))) return true;
    for (const glob of this.#globs) if (matchesGlob(glob, bytes, start, end)) return true;
    return false;
  }

  /** The first glob, as written, that matches the name; `null`: none does. */
  matching(name: Buffer): string | null {
    for (const pattern of this.patterns) {
      if (GlobSet.of([pattern]).matches(name, 0, name.length)) return pattern;
    }
    return null;
  }
}

/** Two pointers; it backtracks only to the last star. */
function matchesGlob(glob: Glob, bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  let place = 0;
  let starPlace = -1;
  let starAt = start;
  while (at < end) {
    const want = place < glob.length ? glob[place] : -1;
    if (want === STAR) {
      starPlace = place++;
      starAt = at;
    } else if (want === ANY || want === bytes[at]) {
      place++;
      at++;
    } else if (starPlace >= 0) {
      place = starPlace + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (glob[place] === STAR) place++;
  return place === glob.length;
}
