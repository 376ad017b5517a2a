/** Listeners and what else a node opens or connects to, as zod schemas. */
import { z } from 'zod';

import { type ListenerConfig, MDP_ROLES, type PublisherConfig, TRANSPORTS } from './entries.js';
import { parseDialEndpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { givenTwice, globs, grantsOf, twiceMessage } from './grants.js';
import { choice, expected, flag, keysOf, list, map, parsed, pathOf, once } from './kinds.js';
import { serviceFault } from './service-listeners.js';
import { show } from './tree.js';

const LISTENERS_MAX = 64;
const SECRET_KEYS_MAX = 2;
const SERVERS_MAX = 64;
const ROUTING_ID_BYTES_MAX = 255;

const ENDPOINT_PATTERN = '^(tcp|ipc)://.+$';

export const endpoint = parsed(
  'an endpoint (tcp://host:port or ipc://path)',
  ENDPOINT_PATTERN,
  parseEndpoint,
);

export const dialEndpoint = parsed(
  "the peer's endpoint (tcp://host:port or ipc://path)",
  ENDPOINT_PATTERN,
  parseDialEndpoint,
);

export const httpListen = parsed(
  'host:port, unix:PATH or off',
  '^(off|unix:.+|.+:(\\d{1,5}|\\*))$',
  parseHttpListen,
);

const SECRET_KEYS = 'the path of a secret key file, or a list of two';
const secretKeyFile = pathOf('the path of a secret key file');
const keysFile = pathOf('the path of a file of public keys');

const listenerCurve = () =>
  map({
    secretKeyFile: z.union(
      [secretKeyFile, list(secretKeyFile, SECRET_KEYS, SECRET_KEYS_MAX, { min: 1 })],
      { error: expected(SECRET_KEYS) },
    ),
    keysFile,
  });

const PUBLIC_KEY = /^[\w.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

export const peerCurve = once(() =>
  map({
    secretKeyFile,
    keysFile,
    serverKey: z
      .string({ error: expected('a public key in Z85: 40 characters', { isText: true }) })
      .regex(PUBLIC_KEY)
      .meta({ takes: (text) => PUBLIC_KEY.test(text) })
      .exactOptional(),
  }),
);

export const tls = once(() =>
  map({
    certFile: pathOf('the path of a certificate (PEM)'),
    keyFile: pathOf('the path of its key (PEM)'),
  }),
);

/** What Freelance clients connect to, which is also the routing id of the listener. */
const publicEndpoint = () =>
  parsed(
    'what clients connect to (tcp://host:port or ipc://path)',
    ENDPOINT_PATTERN,
    parseDialEndpoint,
  ).max(ROUTING_ID_BYTES_MAX, { error: expected(`at most ${ROUTING_ID_BYTES_MAX} characters`) });

const ROLES = `list of ${MDP_ROLES.join(', ')}`;

const keys = () => ({
  endpoint,
  allow: list(choice(MDP_ROLES), `a ${ROLES}`, MDP_ROLES.length, { min: 1 }).exactOptional(),
  client: globs().exactOptional(),
  worker: globs().exactOptional(),
  mmi: choice(['full', 'minimal']).exactOptional(),
  service: z.string({ error: expected('the name of a service', { isText: true }) }).exactOptional(),
  public: publicEndpoint().exactOptional(),
  insecure: flag.exactOptional(),
  transport: choice(TRANSPORTS).exactOptional(),
  curve: listenerCurve().exactOptional(),
});

const listener = (of: ReturnType<typeof keys>, value: string) =>
  map(of, { value }).superRefine((written, context) => {
    const fault = (key: keyof typeof written, message: string): void => {
      const got = `${message}, got ${show(written[key])}`;
      context.addIssue({ code: 'custom', path: [key], message: got });
    };
    for (const role of givenTwice(written)) fault(role, twiceMessage(role));
    const wrong = serviceFault(written);
    if (wrong !== null) fault(wrong.key, wrong.message);
  });

/** A listener; without a transport it has that of `broker.transport`. */
type GivenListener = Omit<ListenerConfig, 'transport'> & {
  readonly transport: ListenerConfig['transport'] | null;
};

function inFull(given: string | z.output<ReturnType<typeof listener>>): GivenListener {
  const written: z.output<ReturnType<typeof listener>> =
    typeof given === 'string' ? { endpoint: given } : given;
  const { endpoint, allow: _, client: __, worker: ___, ...rest } = written;
  const absent = { mmi: null, insecure: false, service: null, public: null, transport: null };
  return { endpoint, ...grantsOf(written), ...absent, ...rest };
}

/** `broker.listen` */
export const listeners = once(() => {
  const ofOne = keys();
  const one = `an endpoint or ${keysOf(ofOne)}`;
  const all = `an endpoint, a list of endpoints, or a list of ${keysOf(ofOne)}`;
  const item = z.union([endpoint, listener(ofOne, one)], { error: expected(one) });
  return z
    .union([endpoint, list(item, all, LISTENERS_MAX, { min: 1 })], { error: expected(all) })
    .transform((given) => [given].flat().map(inFull))
    .meta({ value: all });
});

/** `events.listen` and `map.listen` */
export const publisher = once(() => {
  const { insecure, curve } = keys();
  const inMap = map({ endpoint, insecure, curve });
  const value = `an endpoint, ${keysOf(inMap.shape)} or off`;
  return z
    .union([z.literal('off'), endpoint, inMap], { error: expected(value) })
    .transform((given): PublisherConfig | null => {
      if (given === 'off') return null;
      return typeof given === 'string'
        ? { endpoint: given, insecure: false }
        : { ...given, insecure: given.insecure ?? false };
    })
    .prefault('off')
    .meta({ value, live: 'secretKeys' });
});

const server = () =>
  z
    .string({ error: expected('the URL of a NATS server: nats://host:port or tls://host:port') })
    .regex(/^(nats|tls):\/\/[^\s/?#@,]+$/)
    .refine((url) => URL.canParse(url));
const SERVERS = 'off, the URL of a NATS server, or a list of such URLs';

/** `fleet.nats`: URLs; off: none. */
export const servers = once(() =>
  z
    .union([z.literal('off'), server(), list(server(), SERVERS, SERVERS_MAX, { min: 1 })], {
      error: expected(SERVERS),
    })
    .transform((given) => (given === 'off' ? [] : [given].flat()))
    .meta({ value: SERVERS }),
);
