/**
 * What is made of the schema as plain data: its rows and its defaults. `scripts/bundle.mjs` puts the data in the place of
 * this module, so that a start makes the schemas of those sections only that are written.
 */
import type { z } from 'zod';

import { type Row, rowsOf } from './kinds.js';
import { ONCE, wholeSchema } from './schema.js';

const schema = wholeSchema();

/** The sections and their keys, without `takes`: see `rowsOfSection`. */
export const SECTIONS = JSON.parse(JSON.stringify(rowsOf(schema.shape))) as Row['keys'];

/** The sections if nothing is written. */
export const DEFAULTS: z.output<typeof schema> = schema.parse({}, ONCE);
