/**
 * Parameters of paths and queries, and fields of bodies. A schema takes what a client sends. Its
 * output is what the route uses; its errors are the messages of ERR_HTTP_PARAMETER.
 */
import { z } from 'zod';

import { unescapeName } from '../../core/escape.js';
import { object } from './words.js';

/** Number of items in a page. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;
const SERVICE_BYTES_MAX = 255;
const CURSOR_LENGTH_MAX = 256;
const AGE_MS_MAX = 1e14;
const SAMPLES_MAX = 1e12;
const BULK_MAX = 1e9;
const REFUSALS_MAX = 1000;

export const NO_CURSOR = 'not a cursor from a list';

/** Empty, or from / to /; Latin-1. */
const SUBTREE = /^(\/([^\0]{0,253}\/)?)?$/;

const OLDER = 'Only requests accepted longer ago than this.';

function integer(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
}

/** An integer in a query. `z.coerce` would also take `1e3`, `0x10` and spaces. */
function digits(min: number, max: number): z.ZodPreprocess<z.ZodInt> {
  const read = (given: unknown): unknown =>
    typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : null;
  return z.preprocess(read, integer(min, max));
}

function choice<const Options extends readonly [string, ...string[]]>(
  options: Options,
): z.ZodEnum<z.core.util.ToEnum<Options[number]>> {
  return z.enum(options, `must be one of ${options.join(', ')}`);
}

/** The bytes of a service name, which is given as lists show it (D3). */
function serviceName(shown: string, context: z.RefinementCtx): Buffer {
  const name = unescapeName(shown);
  if (name !== null && name.length >= 1 && name.length <= SERVICE_BYTES_MAX) return name;
  context.addIssue(
    name === null
      ? '% must begin an escape %XX: give names as lists show them'
      : `a service name has 1 to ${SERVICE_BYTES_MAX} bytes`,
  );
  return z.NEVER;
}

const orAbsent = <Value>(value: Value | null | undefined): Value | null => value ?? null;

// ---------------------------------------------------------------- paths

export const UuidPart = object({
  uuid: z
    .string()
    .regex(
      /^[0-9A-Fa-f]{32}$/,
      'must be 32 hexadecimal characters (lists show full uuids only with a token)',
    )
    .describe('UUID of the request: 32 hexadecimal characters, in either case.')
    .transform((uuid) => Buffer.from(uuid, 'hex')),
});

export const ServicePart = object({
  service: z.string().describe('Name of the service, as in lists.').transform(serviceName),
});

// ---------------------------------------------------------------- queries

/** The parameters of a list with pages. */
const pageShape = {
  limit: digits(1, LIMIT_MAX)
    .default(LIMIT_DEFAULT)
    .describe('Maximum number of items in the page.'),
  cursor: z
    .string()
    .max(CURSOR_LENGTH_MAX, NO_CURSOR)
    .optional()
    .describe('`next` of the previous page.')
    .transform(orAbsent),
};

/** The parameters of the other lists. */
function listShape<const States extends readonly [string, ...string[]]>(states: States) {
  return {
    ...pageShape,
    service: z
      .string()
      .transform(serviceName)
      .optional()
      .describe('Only this service, with its name as in lists.')
      .transform(orAbsent),
    state: choice(states).optional().describe('Only items in this state.').transform(orAbsent),
  };
}

/** `unserved`: plain or stored requests wait, and there is no worker. */
export const ServiceQuery = object(listShape(['served', 'unserved']));

export const WorkerQuery = object(listShape(['waiting', 'busy']));

/** The store no longer has closed and expired requests: their lists are empty. */
export const StoredQuery = object({
  ...listShape(['pending', 'dispatched', 'replied', 'dead', 'closed', 'expired']),
  olderThanMs: digits(0, AGE_MS_MAX).optional().describe(OLDER).transform(orAbsent),
});

export const ScheduleQuery = object(pageShape);

/** Part of the map, with its name as in lists. */
function subtree(shown: string, context: z.RefinementCtx): Buffer {
  const bytes = unescapeName(shown);
  if (bytes !== null && SUBTREE.test(bytes.toString('latin1'))) return bytes;
  context.addIssue('must begin and end with /, of at most 255 bytes; % must begin an escape %XX');
  return z.NEVER;
}

export const MapQuery = object({
  ...pageShape,
  subtree: z
    .string()
    .transform(subtree)
    .optional()
    .describe('Only keys below this one, such as `/config/`; as lists show keys.')
    .transform(orAbsent),
});

const since = digits(0, SAMPLES_MAX)
  .default(0)
  .describe('`next` of the previous answer: only newer samples.');

export const SinceQuery = object({ since });

export const HistoryQuery = object({
  service: z
    .string('is missing: name a service')
    .describe('Name of the service, as in lists.')
    .transform(serviceName),
  since,
});

export const RefusalQuery = object({
  limit: digits(1, REFUSALS_MAX).default(REFUSALS_MAX).describe('Maximum number of items.'),
});

// ---------------------------------------------------------------- bodies

/** Fields may be absent or null. */
function bulkShape<const States extends readonly [string, ...string[]]>(states: States) {
  return {
    service: z
      .string('must be a string')
      .transform(serviceName)
      .nullish()
      .describe('Only requests for this service, with its name as in lists.')
      .transform(orAbsent),
    state: choice(states).nullish().transform(orAbsent),
    olderThanMs: integer(0, AGE_MS_MAX).nullish().describe(OLDER).transform(orAbsent),
    limit: integer(1, BULK_MAX)
      .nullish()
      .describe('Change at most this many; default: all.')
      .transform((limit) => limit ?? BULK_MAX),
  };
}

export const RetryBody = object(bulkShape(['dead']));

export const PurgeBody = object(bulkShape(['dead', 'replied', 'pending']));
