/**
 * What is open to strangers: what makes `serve` refuse to start, and what every local user can do.
 */
import { exposures } from '../../../config/io/exposure.js';
import type { Loaded } from '../../../config/io/load.js';
import { isLoopback } from '../../../config/io/loopback.js';
import { publishedBy } from '../../../config/publishers.js';
import { databaseAddressOf, isPostgres, shownHost } from '../../../core/postgres-url.js';
import { problemLine } from '../../../config/problem.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';

export async function exposed(loaded: Loaded): Promise<readonly Finding[]> {
  const refused = (await exposures(loaded)).map((each) =>
    problem(
      'open to strangers',
      problemLine(each),
      'serve refuses to start with this; see docs/operating.md',
    ),
  );
  return [
    ...refused,
    ...ofListeners(loaded),
    ...ofPublishers(loaded),
    ...ofFleet(loaded),
    ...(await ofDatabase(loaded)),
    ...(refused.length === 0 ? ofPair(loaded) : []),
  ];
}

function ofListeners({ config }: Loaded): readonly Finding[] {
  return config.broker.listen
    .filter(({ insecure }) => insecure)
    .map(({ endpoint }) =>
      warning(
        `open to strangers ${endpoint}`,
        'insecure: true: anyone who can connect may request and offer what it allows, without a key',
        'set curve (docs/operating.md, Keys and rights), or restrict access with a firewall',
      ),
    );
}

function ofPublishers({ config }: Loaded): readonly Finding[] {
  return publishedBy(config)
    .filter(({ listen }) => listen.insecure)
    .map(({ section, could, listen: { endpoint } }) =>
      warning(
        `open to strangers ${endpoint}`,
        `insecure: true: anyone who can connect may ${could}, without a key`,
        `set ${section}.listen.curve (docs/operating.md, Keys and rights), or restrict access with a firewall`,
      ),
    );
}

function ofFleet({ config: { fleet } }: Loaded): readonly Finding[] {
  if (!fleet.insecure || fleet.nats.length === 0) return [];
  const text =
    'fleet.insecure: true: servers without TLS or users are allowed, and anyone who can publish there is trusted like a broker';
  const remedy =
    'give the servers TLS and users, set fleet.natsCredsFile, and remove fleet.insecure';
  return [warning('open to strangers over NATS', text, remedy)];
}

async function ofDatabase({ config }: Loaded): Promise<readonly Finding[]> {
  const { store } = config.titanic;
  const place = isPostgres(store) ? databaseAddressOf(store) : null;
  if (place === null || typeof place === 'string') return [];
  const open = OPEN_DATABASE.find(({ tls }) => tls === place.tls);
  if (open === undefined) return [];
  for (const host of place.hosts) {
    if (host.host.startsWith('/') || (await isLoopback({ scheme: 'tcp', ...host }))) continue;
    const remedy = 'leave sslmode out, and name the authority of the certificate with sslrootcert';
    return [warning(`connection to ${shownHost(host)}`, open.text, remedy)];
  }
  return [];
}

const OPEN_DATABASE = [
  {
    tls: 'disable',
    text: 'sslmode=disable: anyone on the way can read and change durable requests',
  },
  {
    tls: 'require',
    text: 'sslmode=require: any certificate is accepted, so anyone on the way can take the place of the database',
  },
] as const;

function ofPair({ config }: Loaded): readonly Finding[] {
  const { role, curve } = config.bstar;
  if (role === 'standalone') return [];
  const name = 'link of the pair';
  if (curve !== null) return [ok(name, 'only keys in bstar.curve.keysFile may connect')];
  return [
    warning(
      name,
      'no keys: every user of this machine can connect as the peer and read all durable requests',
      'create keys with `majordomo keygen --pair keys`, and set bstar.curve',
    ),
  ];
}
