/**
 * Numbered fields. A field is a byte (its number times two, plus one if it is a run of bytes) and its
 * value: a double, or bytes preceded by their length. A zero byte ends the fields of an item. Numbers
 * that are 0, empty texts and bytes that are absent are left out.
 *
 * Unknown fields are kept as they came (`extra`), in the order of their numbers, and written again. So a
 * later version can add fields without a new format.
 */
import { PackReader, PackWriter } from './value-bytes.js';

const END = 0;
const EXTRA_BYTES = 256;
const NOTHING: Buffer = Buffer.alloc(0);

export class FieldWriter {
  readonly #to: PackWriter;

  constructor(to: PackWriter) {
    this.#to = to;
  }

  number(value: number, field: number): void {
    if (value === 0) return;
    this.#to.byte(field * 2);
    this.#to.number(value);
  }

  bytes(value: Buffer | null, field: number): void {
    if (value === null) return;
    this.#to.byte(field * 2 + 1);
    this.#to.bytes(value);
  }

  text(value: string, field: number): void {
    if (value === '') return;
    this.#to.byte(field * 2 + 1);
    this.#to.text(value);
  }

  /** Ends the fields of one item, including the unknown ones that came with it. */
  end(extra: Buffer | null | undefined): void {
    if (extra) this.#to.raw(extra);
    this.#to.byte(END);
  }
}

/** The fields that a reader knows; all others are kept. */
interface KnownFields {
  readonly numbers: readonly number[];
  readonly bytes: readonly number[];
  /** Runs of bytes that one item may have several of. */
  readonly repeated: readonly number[];
}

const EXTRA = 0;
const NUMBER = 1;
const BYTES = 2;
const REPEATED = 3;

/** Reads the fields of one item after the other. It returns views of the bytes. */
export class FieldReader {
  /** Kinds of the fields, by number. */
  readonly #kinds: Uint8Array;
  readonly #numbers: Float64Array;
  readonly #bytes: (Buffer | null)[];
  readonly #all: Buffer[] = [];
  #extra: PackWriter | null = null;

  constructor({ numbers, bytes, repeated }: KnownFields) {
    const count = Math.max(...numbers, ...bytes, ...repeated) + 1;
    this.#kinds = new Uint8Array(count);
    this.#numbers = new Float64Array(count);
    this.#bytes = Array.from({ length: count }, () => null);
    for (const field of numbers) this.#kinds[field] = NUMBER;
    for (const field of bytes) this.#kinds[field] = BYTES;
    for (const field of repeated) this.#kinds[field] = REPEATED;
  }

  /** Reads the fields up to their end; `from` is not whole if the bytes are not fields. */
  read(from: PackReader): void {
    this.#numbers.fill(0);
    this.#bytes.fill(null);
    this.#all.length = 0;
    this.#extra = null;
    for (let tag = from.byte(); tag !== END; tag = from.byte()) {
      const field = tag >>> 1;
      const kind = this.#kinds[field] ?? EXTRA;
      if (kind === EXTRA) this.#keep(from, tag);
      else if ((kind === NUMBER) === (tag % 2 === 1)) from.refuse(null);
      else if (kind === NUMBER) this.#numbers[field] = from.number();
      else if (kind === BYTES) this.#bytes[field] = from.bytes();
      else this.#all.push(from.bytes());
    }
  }

  #keep(from: PackReader, tag: number): void {
    this.#extra ??= new PackWriter(EXTRA_BYTES);
    this.#extra.byte(tag);
    if (tag % 2 === 1) this.#extra.bytes(from.bytes());
    else this.#extra.number(from.number());
  }

  number(field: number): number {
    return this.#numbers[field] ?? 0;
  }

  bytes(field: number): Buffer {
    return this.#bytes[field] ?? NOTHING;
  }

  maybe(field: number): Buffer | null {
    return this.#bytes[field] ?? null;
  }

  text(field: number): string {
    return this.#bytes[field]?.toString() ?? '';
  }

  /** The values of the repeated field. */
  get all(): readonly Buffer[] {
    return this.#all;
  }

  /** The unknown fields, in order of their numbers; `null`: there are none. */
  get extra(): Buffer | null {
    return this.#extra === null ? null : inOrder(fieldsOf(this.#extra.takeBuffer()));
  }
}

/**
 * Joins the unknown fields of two items. If both have a field, that of the first is taken.
 * @returns `first` itself if the other adds nothing
 */
export function joinExtra(first: Buffer | null, other: Buffer | null): Buffer | null {
  if (other === null || first?.equals(other) === true) return first;
  if (first === null) return other;
  const fields = fieldsOf(first);
  const count = fields.size;
  for (const [tag, bytes] of fieldsOf(other)) if (!fields.has(tag)) fields.set(tag, bytes);
  return fields.size === count ? first : inOrder(fields);
}

/** A field of bytes in `extra`; `null`: it is not there. */
export function extraField(extra: Buffer, field: number): Buffer | null {
  const tagged = fieldsOf(extra).get(field * 2 + 1);
  if (tagged === undefined) return null;
  const from = new PackReader(tagged);
  from.byte();
  return from.bytes();
}

function inOrder(fields: ReadonlyMap<number, Buffer>): Buffer {
  const sorted = [...fields].sort(([a], [b]) => a - b);
  return Buffer.concat(sorted.map(([, bytes]) => bytes));
}

/** All fields, by tag. */
function fieldsOf(extra: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  const from = new PackReader(extra);
  while (!from.isAtEnd) {
    const start = from.at;
    const tag = from.byte();
    if (tag % 2 === 1) from.bytes();
    else from.number();
    const bytes = extra.subarray(start, from.at);
    const before = fields.get(tag);
    fields.set(tag, before === undefined ? bytes : Buffer.concat([before, bytes]));
  }
  return fields;
}
