/** The zod schema that the rows describe: it checks, and the JSON Schema is made of it. */
import { z } from 'zod';

import { parseAddress, parseDialEndpoint, parseEndpoint, type Parsed } from './endpoint.js';
import { ROLES, type ListenerConfig } from './config.js';
import { SCHEMA, SECTIONS, type Row } from './schema.js';
import { parseSize, SIZE_PATTERN } from './size.js';

const PATH_CHARACTERS_MAX = 4096;
const LISTENERS_MAX = 64;

/** Text that a parser understands; what it says becomes the message. */
function parsedText(
  what: string,
  pattern: string,
  parse: (text: string) => Parsed<unknown>,
): z.ZodType<string> {
  return z
    .string({ error: `expected ${what}` })
    .superRefine((text, context) => {
      const parsed = parse(text);
      if (parsed.ok) return;
      context.addIssue({ code: 'custom', message: `expected ${what}: ${parsed.why}` });
    })
    .meta({ pattern });
}

const ENDPOINT_PATTERN = '^(tcp|ipc)://.+$';
const endpoint: z.ZodType<string> = parsedText(
  'an endpoint (tcp://host:port or ipc://path)',
  ENDPOINT_PATTERN,
  parseEndpoint,
);
const dialEndpoint: z.ZodType<string> = parsedText(
  "the peer's endpoint (tcp://host:port or ipc://path)",
  ENDPOINT_PATTERN,
  parseDialEndpoint,
);
const address: z.ZodType<string> = parsedText(
  'host:port or off',
  '^(off|.+:(\\d{1,5}|\\*))$',
  (text) => (text === 'off' ? { ok: true, value: null } : parseAddress(text)),
);

function pathText(what: string): z.ZodString {
  const error = `expected the path of ${what}`;
  return z.string({ error }).min(1, error).max(PATH_CHARACTERS_MAX, error);
}

const serverKeyError = 'expected a public key in Z85: 40 characters';
const listenerCurve = z.strictObject(
  {
    secretKeyFile: pathText('a secret key file'),
    keysFile: pathText('a file of public keys'),
  },
  { error: 'expected {secretKeyFile, keysFile}' },
);
const peerCurve = z.strictObject(
  {
    ...listenerCurve.shape,
    serverKey: z
      .string({ error: serverKeyError })
      .regex(/^[\w.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/, serverKeyError)
      .optional(),
  },
  { error: 'expected {secretKeyFile, keysFile, serverKey}' },
);
const LISTENER_ERROR = 'expected an endpoint or {endpoint, allow, transport, curve}';
const listener = z.strictObject(
  {
    endpoint,
    allow: z
      .array(z.enum(ROLES, { error: 'expected client or worker' }), {
        error: 'expected a list of client, worker',
      })
      .min(1, 'expected a list of client, worker that is not empty')
      .max(ROLES.length, 'expected a list of client, worker, each once')
      .optional(),
    transport: z.enum(SCHEMA.broker.keys.transport.options).optional(),
    curve: listenerCurve.optional(),
  },
  { error: LISTENER_ERROR },
);
const LISTENERS_ERROR =
  'expected an endpoint, a list of endpoints, or a list of {endpoint, allow, transport, curve}';

/** A listener as it may be written: `allow` and `transport` have defaults. */
export type WrittenListener = Pick<ListenerConfig, 'endpoint'> & {
  readonly [Key in 'allow' | 'transport' | 'curve']?: ListenerConfig[Key] | undefined;
};

/** `broker.listen`, in all its forms. */
export const LISTENERS: z.ZodType<string | (string | WrittenListener)[]> = z.union(
  [
    endpoint,
    z
      .array(z.union([endpoint, listener], { error: LISTENER_ERROR }), { error: LISTENERS_ERROR })
      .min(1, 'expected at least one endpoint')
      .max(LISTENERS_MAX, `expected at most ${LISTENERS_MAX} listeners`),
  ],
  { error: LISTENERS_ERROR },
);

/** The keys that the maps below a key may have, in the order in which they are shown. */
export const MAP_KEYS: Readonly<Record<'listener' | 'listenerCurve' | 'peerCurve', string[]>> = {
  listener: Object.keys(listener.shape),
  listenerCurve: Object.keys(listenerCurve.shape),
  peerCurve: Object.keys(peerCurve.shape),
};

/** A bound of a row as a number: sizes are written as text there. */
function bound(value: number | string | undefined): number {
  return value === undefined ? 0 : (parseSize(value) ?? 0);
}

function text(row: Row): z.ZodType {
  const base = z.string().min(bound(row.min)).max(bound(row.max));
  switch (row.form) {
    case 'file':
      return base.regex(/^(?!\.{1,2}$)[^/\\\0]+$/);
    case 'secret':
      return base.regex(/^[\x21-\x7e]+$/);
    case 'name':
      return base.regex(/^[ -~\u00a0-\u2027\u202a-\uffff]+$/);
    default:
      return base.regex(/^[^\0]+$/);
  }
}

function size(row: Row): z.ZodType {
  const [min, max] = [bound(row.min), bound(row.max)];
  const inRange = (value: number | null): boolean => value !== null && value >= min && value <= max;
  return z.union([
    z.int().min(min).max(max),
    z
      .string()
      .regex(new RegExp(SIZE_PATTERN))
      .refine((value) => inRange(parseSize(value)))
      .transform((value) => parseSize(value)),
  ]);
}

function kindSchema(row: Row): z.ZodType {
  switch (row.kind) {
    case 'text':
      return text(row);
    case 'durationMs':
    case 'count':
      return z.int().min(bound(row.min)).max(bound(row.max));
    case 'size':
      return size(row);
    case 'flag':
      return z.boolean();
    case 'choice':
      return z.enum([...(row.options ?? [])]);
    case 'listeners':
      return LISTENERS;
    case 'endpoint':
      return endpoint;
    case 'dialEndpoint':
      return dialEndpoint;
    case 'address':
      return address;
    case 'curve':
      return peerCurve;
  }
}

function rowSchema(row: Row): z.ZodType {
  const schema = kindSchema(row);
  const whole = row.optional === true ? schema.nullable() : schema;
  const absent = row.default === null ? whole.optional() : whole.prefault(row.default);
  return absent.meta({ description: row.about });
}

/** The whole configuration. What is absent and has no constant default stays absent. */
export const CONFIG_SCHEMA: z.ZodType<Record<string, Record<string, unknown> | null>> =
  z.strictObject(
    Object.fromEntries(
      Object.entries(SECTIONS).map(([name, section]) => [
        name,
        z
          .strictObject(
            Object.fromEntries(
              Object.entries(section.keys).map(([key, row]) => [key, rowSchema(row)]),
            ),
          )
          // `broker:` with all its keys commented out.
          .nullable()
          .prefault({})
          .meta({ description: section.about }),
      ]),
    ),
  );
