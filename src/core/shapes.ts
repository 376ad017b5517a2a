/**
 * The kit of the codecs: shapes of values as bytes. Each writes a value and reads it again, so a message
 * is declared once, as a table of its fields, for both ends: calls between threads
 * (store/thread/operations.ts), messages of a pair (wire/pair.ts) and of extensions, records of extensions
 * (store/ranked-codec.ts).
 *
 * A reader that meets what no writer writes is not whole afterwards (value-bytes.ts).
 */
import { present } from './assert.js';
import { oneLine } from './escape.js';
import type { PackReader, PackWriter } from './value-bytes.js';

export interface Shape<Value> {
  /** How a document shows its bytes; absent: no document does. */
  readonly as?: string;
  /** See `optional`. */
  readonly isOptional?: true;
  put(to: PackWriter, value: Value): void;
  take(from: PackReader): Value;
}

export type ValueOf<Of> = Of extends Shape<infer Value> ? Value : never;

export const NUMBER: Shape<number> = {
  put: (to, value) => to.number(value),
  take: (from) => from.number(),
};

export const FLAG: Shape<boolean> = {
  as: 'flag',
  put: (to, value) => to.byte(value ? 1 : 0),
  take: (from) => {
    const value = from.byte();
    return value > 1 ? from.refuse(false) : value === 1;
  },
};

export const TEXT: Shape<string> = {
  put: (to, value) => to.text(value),
  take: (from) => from.text(),
};

/** Read as a view of the message. */
export const BYTES: Shape<Buffer> = {
  put: (to, value) => to.bytes(value),
  take: (from) => from.bytes(),
};

/** Bytes that are a string with a character for each. */
export const LATIN1: Shape<string> = {
  put: (to, value) => to.bytes(Buffer.from(value, 'latin1')),
  take: (from) => from.bytes().toString('latin1'),
};

export const NOTHING: Shape<unknown> = { put: () => undefined, take: () => null };

/** @param bytes of an unsigned integer that says how many there are; 0: a double does */
export function list<Value>(of: Shape<Value>, bytes = 0): Shape<readonly Value[]> {
  return {
    put: (to, values) => {
      if (bytes === 0) to.number(values.length);
      else to.uint(values.length, bytes);
      for (const value of values) of.put(to, value);
    },
    take: (from) => Array.from({ length: from.count(bytes) }, () => of.take(from)),
  };
}

/** A list of as many values as there are up to the end, each of at least one byte. */
export function listToEnd<Value>(of: Shape<Value>, most = Infinity): Shape<readonly Value[]> {
  return {
    as: `each: ${of.as ?? ''}`,
    put: (to, values) => {
      for (const value of values) of.put(to, value);
    },
    take: (from) => {
      const values: Value[] = [];
      while (!from.isAtEnd) {
        if (values.length === most) return from.refuse(values);
        values.push(of.take(from));
      }
      return values;
    },
  };
}

export function maybe<Value>(of: Shape<Value>): Shape<Value | null> {
  return {
    as: `flag, ${of.as ?? ''}`,
    put: (to, value) => {
      FLAG.put(to, value !== null);
      if (value !== null) of.put(to, value);
    },
    take: (from) => (FLAG.take(from) ? of.take(from) : null),
  };
}

/** A field that a message may lack: then it is `null`. */
export function optional<Value>(of: Shape<Value>): Shape<Value | null> {
  return { ...of, as: `${of.as ?? ''}?`, isOptional: true };
}

/** A word out of these; its byte is the position of the word. */
export function oneOf<Word extends string>(...words: readonly Word[]): Shape<Word> {
  return {
    as: `1: ${words.map((word, at) => `${at} ${word}`).join(', ')}`,
    put: (to, word) => to.byte(words.indexOf(word)),
    take: (from) => words[from.byte()] ?? from.refuse('' as Word),
  };
}

/** A value that is read only if it passes. */
export function checked<Value>(of: Shape<Value>, isOne: (value: Value) => boolean): Shape<Value> {
  return {
    ...of,
    take: (from) => {
      const value = of.take(from);
      return isOne(value) ? value : from.refuse(value);
    },
  };
}

/** An unsigned integer of 1 to 6, or 8, bytes, big-endian. */
export function uint(bytes: number): Shape<number> {
  return {
    as: String(bytes),
    put: (to, value) => to.uint(value, bytes),
    take: (from) => from.uint(bytes),
  };
}

/** A fixed number of bytes, read as a copy. */
export function run(bytes: number): Shape<Buffer> {
  return {
    as: String(bytes),
    put: (to, value) => to.raw(value),
    take: (from) => Buffer.from(from.raw(bytes)),
  };
}

/** Bytes behind their length, which is an unsigned integer of `bytes` bytes. Read as a view. */
export function sized(bytes: number): Shape<Buffer> {
  return {
    as: `${bytes} + n`,
    put: (to, value) => {
      to.uint(value.length, bytes);
      to.raw(value);
    },
    take: (from) => from.raw(from.uint(bytes)),
  };
}

/** All bytes up to the end, read as a view. */
export const REST: Shape<Buffer> = {
  as: 'rest',
  put: (to, value) => to.raw(value),
  take: (from) => from.rest(),
};

/** A longer one is cut when it is written, and refused when it is read. */
export function utf8(of: Shape<Buffer>, bytesMax: number): Shape<string> {
  return {
    as: of.as ?? '',
    put: (to, value) => of.put(to, Buffer.from(value).subarray(0, bytesMax)),
    take: (from) => {
      const bytes = of.take(from);
      return bytes.length > bytesMax ? from.refuse('') : bytes.toString();
    },
  };
}

/** Like `utf8`, for text of another node that people read: control characters and line ends in it are replaced. */
export function line(of: Shape<Buffer>, bytesMax: number): Shape<string> {
  const text = utf8(of, bytesMax);
  return { ...text, take: (from) => oneLine(text.take(from)) };
}

/** A table of the fields of a value: a field without a row does not compile. */
export type Fields<Value> = { readonly [Name in keyof Value]-?: Shape<Value[Name]> };

/** The value of a table of fields. */
export type ValuesOf<Of> = { readonly [Name in keyof Of]: ValueOf<Of[Name]> };

/** The fields as a document shows them. */
export function shown(fields: Fields<object>): string {
  const all = Object.entries(fields) as [string, Shape<unknown>][];
  return all.map(([name, { as = '' }]) => `${name} (${as})`).join(', ');
}

/** An object: its fields in the order in which they are written here. */
export function struct<Value extends object>(fields: Fields<Value>): Shape<Value> {
  const shapes = Object.entries(fields) as [keyof Value, Shape<unknown>][];
  return {
    as: shown(fields),
    put: (to, value) => {
      for (const [name, shape] of shapes) shape.put(to, value[name]);
    },
    take: (from) => {
      const value: Partial<Record<keyof Value, unknown>> = {};
      for (const [name, shape] of shapes) value[name] = shape.take(from);
      return value as Value;
    },
  };
}

/** An array that has values of different shapes, in the order of these. */
export function tuple<Values extends readonly unknown[]>(
  ...shapes: { readonly [At in keyof Values]: Shape<Values[At]> }
): Shape<Values> {
  const all: readonly Shape<unknown>[] = shapes;
  return {
    put: (to, values) => {
      for (const [at, shape] of all.entries()) shape.put(to, values[at]);
    },
    take: (from) => all.map((shape) => shape.take(from)) as readonly unknown[] as Values,
  };
}

type Tagged<Tag extends string> = Readonly<Record<Tag, string>>;

/** `null`: it has no other fields. */
type Variants<Tag extends string, Value extends Tagged<Tag>> = {
  readonly [Word in Value[Tag]]: Shape<
    Omit<Extract<Value, Readonly<Record<Tag, Word>>>, Tag>
  > | null;
};

/** A value of one of several shapes; its field `tag` says which. */
export function tagged<Tag extends string, Value extends Tagged<Tag>>(
  tag: Tag,
  variants: Variants<Tag, Value>,
): Shape<Value> {
  const shapes = Object.entries<Shape<object> | null>(variants);
  const words = shapes.map(([word]) => word);
  const values = words.map((word) => Object.freeze({ [tag]: word }) as Value);
  return {
    put: (to, value) => {
      const at = words.indexOf(value[tag]);
      to.byte(at);
      shapes[at]?.[1]?.put(to, value);
    },
    take: (from) => {
      const at = from.byte();
      const value = present(values[at], 'a kind of this program');
      const shape = shapes[at]?.[1] ?? null;
      return shape === null ? value : { ...value, ...shape.take(from) };
    },
  };
}
