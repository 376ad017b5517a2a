/** The zod schema, made from the rows. It validates, and the JSON Schema is made from it. */
import { z } from 'zod';

import { parseDialEndpoint, parseEndpoint, parseHttpListen, type Parsed } from './endpoint.js';
import { webAddress } from '../core/web-address.js';
import { MDP_ROLES, type ListenerConfig, type PublisherConfig, type MdpRole } from './config.js';
import { givenTwice, globs, twiceMessage } from './grants.js';
import { NETWORKS, TOKENS, TOKEN_KEYS } from './http-access.js';
import { QUOTA_ROWS } from './quotas.js';
import { serviceFault } from './service-listeners.js';
import { SCHEMA, SECTIONS, type Row } from './schema.js';
import { parseSize, SIZE_PATTERN } from './size.js';

const PATH_CHARACTERS_MAX = 4096;
const LISTENERS_MAX = 64;
/** The name of a quota: printable, without spaces, as the names of keys. */
const NAME = /^[\x21-\x7e]{1,64}$/;

/** Text that a parser accepts; the parser's reason becomes the message. */
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
  'host:port, unix:PATH or off',
  '^(off|unix:.+|.+:(\\d{1,5}|\\*))$',
  parseHttpListen,
);

function pathText(what: string): z.ZodString {
  const error = `expected the path of ${what}`;
  return z.string({ error }).min(1, error).max(PATH_CHARACTERS_MAX, error);
}

const SECRET_KEYS_ERROR = 'expected the path of a secret key file, or a list of two';
const SECRET_KEYS_MAX = 2;
const secretKeyFiles = z.union(
  [
    pathText('a secret key file'),
    z
      .array(pathText('a secret key file'), { error: SECRET_KEYS_ERROR })
      .min(1, SECRET_KEYS_ERROR)
      .max(SECRET_KEYS_MAX, SECRET_KEYS_ERROR),
  ],
  { error: SECRET_KEYS_ERROR },
);
const serverKeyError = 'expected a public key in Z85: 40 characters';
const listenerCurve = z.strictObject(
  { secretKeyFile: secretKeyFiles, keysFile: pathText('a file of public keys') },
  { error: 'expected {secretKeyFile, keysFile}' },
);
const peerCurve = z.strictObject(
  {
    secretKeyFile: pathText('a secret key file'),
    keysFile: pathText('a file of public keys'),
    serverKey: z
      .string({ error: serverKeyError })
      .regex(/^[\w.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/, serverKeyError)
      .optional(),
  },
  { error: 'expected {secretKeyFile, keysFile, serverKey}' },
);
const tls = z.strictObject(
  { certFile: pathText('a certificate (PEM)'), keyFile: pathText('its key (PEM)') },
  { error: 'expected {certFile, keyFile}' },
);
const ROUTING_ID_BYTES_MAX = 255;
/** What Freelance clients connect to, which is also the routing id of the listener. */
const publicEndpoint = parsedText(
  'what clients connect to (tcp://host:port or ipc://path)',
  ENDPOINT_PATTERN,
  parseDialEndpoint,
).refine((text) => text.length <= ROUTING_ID_BYTES_MAX, {
  error: `expected at most ${ROUTING_ID_BYTES_MAX} characters`,
});
const LISTENER =
  '{endpoint, allow, client, worker, mmi, service, public, insecure, transport, curve}';
const LISTENER_ERROR = `expected an endpoint or ${LISTENER}`;
const listener = z
  .strictObject(
    {
      endpoint,
      allow: z
        .array(z.enum(MDP_ROLES, { error: 'expected client or worker' }), {
          error: 'expected a list of client, worker',
        })
        .min(1, 'expected a non-empty list of client, worker')
        .max(MDP_ROLES.length, 'expected a list of client, worker, each once')
        .optional(),
      client: globs.optional(),
      worker: globs.optional(),
      mmi: z.enum(['full', 'minimal'], { error: 'expected full or minimal' }).optional(),
      service: z.string({ error: 'expected the name of a service' }).optional(),
      public: publicEndpoint.optional(),
      insecure: z.boolean({ error: 'expected true or false' }).optional(),
      transport: z.enum(SCHEMA.broker.keys.transport.options).optional(),
      curve: listenerCurve.optional(),
    },
    { error: LISTENER_ERROR },
  )
  .superRefine((written, context) => {
    for (const role of givenTwice(written)) {
      context.addIssue({ code: 'custom', path: [role], message: twiceMessage(role) });
    }
    const fault = serviceFault(written);
    if (fault !== null) {
      context.addIssue({ code: 'custom', path: [fault.key], message: fault.message });
    }
  });
const LISTENERS_ERROR = `expected an endpoint, a list of endpoints, or a list of ${LISTENER}`;

/** A listener in any form in which it may be written. */
export type WrittenListener = Pick<ListenerConfig, 'endpoint'> & {
  readonly [Key in 'client' | 'worker' | 'mmi' | 'insecure' | 'transport' | 'curve']?:
    ListenerConfig[Key] | undefined;
} & {
  readonly allow?: readonly MdpRole[] | undefined;
  readonly service?: string | undefined;
  readonly public?: string | undefined;
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

const PUBLISHER_ERROR = 'expected an endpoint, {endpoint, insecure, curve} or off';
const publisherMap = z.strictObject(
  {
    endpoint,
    insecure: z.boolean({ error: 'expected true or false' }).optional(),
    curve: listenerCurve.optional(),
  },
  { error: PUBLISHER_ERROR },
);

/** A publisher in any form in which it may be written. */
export type WrittenPublisher =
  | string
  | (Pick<PublisherConfig, 'endpoint'> & {
      readonly [Key in 'insecure' | 'curve']?: PublisherConfig[Key] | undefined;
    });

/** `events.listen` and `map.listen`, in all their forms. */
export const PUBLISHER: z.ZodType<WrittenPublisher> = z.union(
  [z.literal('off'), endpoint, publisherMap],
  { error: PUBLISHER_ERROR },
);

const SERVER_PATTERN = /^(nats|tls):\/\/[^\s/?#@,]+$/;
const SERVER_ERROR = 'expected the URL of a NATS server: nats://host:port or tls://host:port';
const SERVERS_ERROR = 'expected off, the URL of a NATS server, or a list of such URLs';
const SERVERS_MAX = 64;
const server = z
  .string({ error: SERVER_ERROR })
  .regex(SERVER_PATTERN, SERVER_ERROR)
  .refine((url) => URL.canParse(url), SERVER_ERROR);

/** `fleet.nats`, in all its forms. */
const SERVERS = z.union(
  [
    z.literal('off'),
    server,
    z
      .array(server, { error: SERVERS_ERROR })
      .min(1, SERVERS_ERROR)
      .max(SERVERS_MAX, `expected at most ${SERVERS_MAX} servers`),
  ],
  { error: SERVERS_ERROR },
);

/** The keys that the maps below a key may have, in the order in which they are shown. */
export const MAP_KEYS: Readonly<
  Record<'listener' | 'listenerCurve' | 'publisher' | 'peerCurve' | 'tls' | 'token', string[]>
> = {
  listener: Object.keys(listener.shape),
  listenerCurve: Object.keys(listenerCurve.shape),
  publisher: Object.keys(publisherMap.shape),
  peerCurve: Object.keys(peerCurve.shape),
  tls: Object.keys(tls.shape),
  token: TOKEN_KEYS,
};

/** A bound of a row as a number; bounds of sizes are written as text. */
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
    case 'url':
      return base
        .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/)
        .refine((value) => webAddress(value) !== null);
    case 'header':
      return base.regex(/^[!#$%&'*+.^_`|~\w-]+$/);
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

const QUOTA_ERROR = 'expected a map of quotas';
const QUOTAS_MAX = 1000;

/** All keys may be absent. */
function quota(): z.ZodType {
  const rows = Object.entries(QUOTA_ROWS);
  const keys = rows.map(([key, row]) => [key, kindSchema(row).optional()] as const);
  return z.strictObject(Object.fromEntries(keys), { error: QUOTA_ERROR });
}

function quotas(): z.ZodType {
  const error = ({ code }: { readonly code: string }): string =>
    code === 'invalid_key'
      ? 'expected a name of 1 to 64 characters without spaces'
      : 'expected a map of names, each with a map of quotas';
  return z
    .record(z.string().regex(NAME), quota(), { error })
    .refine((given) => Object.keys(given).length <= QUOTAS_MAX, `expected at most ${QUOTAS_MAX}`);
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
    case 'publisher':
      return PUBLISHER;
    case 'endpoint':
      return endpoint;
    case 'dialEndpoint':
      return dialEndpoint;
    case 'address':
      return address;
    case 'curve':
      return peerCurve;
    case 'tls':
      return tls;
    case 'share':
      return z.number().gt(0).max(1);
    case 'quota':
      return quota();
    case 'quotas':
      return quotas();
    case 'servers':
      return SERVERS;
    case 'tokens':
      return TOKENS;
    case 'networks':
      return NETWORKS;
  }
}

function rowSchema(row: Row): z.ZodType {
  const schema = kindSchema(row);
  const whole = row.optional === true ? schema.nullable() : schema;
  const absent = row.default === null ? whole.optional() : whole.prefault(row.default);
  return absent.meta({ description: row.about });
}

/** The whole configuration. Absent keys without a constant default stay absent. */
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
