/**
 * Shapes of values that go from one thread to another, as bytes: each writes a value and reads it again.
 * A call between threads is declared once with them (operations.ts), for both ends.
 */
import { present } from '../../core/assert.js';
import type { PackReader, PackWriter } from '../../core/packing.js';

export interface Shape<Value> {
  put(to: PackWriter, value: Value): void;
  take(from: PackReader): Value;
}

export type ValueOf<Of> = Of extends Shape<infer Value> ? Value : never;

export const NUMBER: Shape<number> = {
  put: (to, value) => {
    to.number(value);
  },
  take: (from) => from.number(),
};

export const FLAG: Shape<boolean> = {
  put: (to, value) => {
    to.byte(value ? 1 : 0);
  },
  take: (from) => from.byte() !== 0,
};

export const TEXT: Shape<string> = {
  put: (to, value) => {
    to.text(value);
  },
  take: (from) => from.text(),
};

/** Read as a view of the message. */
export const BYTES: Shape<Buffer> = {
  put: (to, value) => {
    to.bytes(value);
  },
  take: (from) => from.bytes(),
};

/** Bytes that are a string with a character for each. */
export const LATIN1: Shape<string> = {
  put: (to, value) => {
    to.bytes(Buffer.from(value, 'latin1'));
  },
  take: (from) => from.bytes().toString('latin1'),
};

export const NOTHING: Shape<unknown> = { put: () => undefined, take: () => null };

export function list<Value>(of: Shape<Value>): Shape<readonly Value[]> {
  return {
    put: (to, values) => {
      to.number(values.length);
      for (const value of values) of.put(to, value);
    },
    take: (from) => Array.from({ length: from.count() }, () => of.take(from)),
  };
}

export function maybe<Value>(of: Shape<Value>): Shape<Value | null> {
  return {
    put: (to, value) => {
      to.byte(value === null ? 0 : 1);
      if (value !== null) of.put(to, value);
    },
    take: (from) => (from.byte() === 0 ? null : of.take(from)),
  };
}

/** One of some words, as its place among them. */
export function oneOf<Word extends string>(...words: readonly Word[]): Shape<Word> {
  return {
    put: (to, word) => {
      to.byte(words.indexOf(word));
    },
    take: (from) => present(words[from.byte()], 'a word of this program'),
  };
}

type Fields<Value> = { readonly [Name in keyof Value]-?: Shape<Value[Name]> };

/** Its fields in the order in which they are written here. */
export function struct<Value extends object>(fields: Fields<Value>): Shape<Value> {
  const shapes = Object.entries(fields) as [keyof Value, Shape<unknown>][];
  return {
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

/** The same of an array that has values of different shapes. */
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
