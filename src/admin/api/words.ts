/** Words that the schemas of the API are written with, besides those of answers (core/schema-words). */
import type { z } from 'zod';
import { listOf, object, orNull, text } from '../../core/schema-words.js';

/** Makes an `object` when it is first used: a start would wait for all of them. */
export const lazily = <Shape extends z.core.$ZodLooseShape>(
  shape: () => Shape,
): (() => z.ZodObject<Shape, z.core.$strict>) => {
  let built: z.ZodObject<Shape, z.core.$strict> | null = null;
  return () => (built ??= object(shape()));
};

/** A page of a list. It may have fewer items than requested; the list ends when `next` is null. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

export const pageOf = <Item extends z.ZodType>(
  item: Item,
): z.ZodObject<{ items: z.ZodArray<Item>; next: z.ZodNullable<z.ZodString> }, z.core.$strict> =>
  object({
    items: listOf(item),
    next: orNull(text(), 'Cursor of the next page; null on the last page.'),
  });
