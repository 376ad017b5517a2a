/** Words that the schemas of answers are written with. */
import { z } from 'zod';
import { COUNT_MAX } from './numbers.js';

type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

/** The type of a schema, read-only. */
export type Json<Schema extends z.ZodType> = Frozen<z.output<Schema>>;

function described<Schema extends z.ZodType>(schema: Schema, description?: string): Schema {
  return description === undefined ? schema : schema.describe(description);
}

export const text = (description?: string): z.ZodString => described(z.string(), description);

export const flag = (description?: string): z.ZodBoolean => described(z.boolean(), description);

export const whole = (min: number, max: number, description?: string): z.ZodInt =>
  described(z.int().min(min).max(max), description);

/** A whole number from 0. */
export const count = (description?: string): z.ZodInt => whole(0, COUNT_MAX, description);

/** A number from 0. */
export const amount = (description?: string): z.ZodNumber =>
  described(z.number().min(0), description);

/** A time in ISO 8601, in UTC, with milliseconds. */
export const moment = (description?: string): z.ZodISODateTime =>
  described(z.iso.datetime(), description);

export const orNull = <Schema extends z.ZodType>(
  schema: Schema,
  description?: string,
): z.ZodNullable<Schema> => described(schema.nullable(), description);

export const listOf = <Item extends z.ZodType>(
  item: Item,
  description?: string,
): z.ZodArray<Item> => described(z.array(item), description);

/** An object with all of these fields and no others. */
export const object = <Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  description?: string,
): z.ZodObject<Shape, z.core.$strict> => described(z.strictObject(shape), description);
