/**
 * What is open to strangers: what makes `serve` refuse to start, and what every local user can do.
 */
import { exposures } from '../../config/io/exposure.js';
import type { Loaded } from '../../config/io/load.js';
import { problemLine } from '../../config/problem.js';
import { type Finding, ok, problem, warning } from './finding.js';

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
  return OPEN.filter(({ section }) => config[section].listen?.insecure === true).map(
    ({ section, may, how }) =>
      warning(
        `open to strangers ${config[section].listen?.endpoint ?? ''}`,
        `insecure: true: anyone who can connect may ${may}, without a key`,
        `set ${section}.listen.curve (docs/operating.md, ${how}), or restrict access with a firewall`,
      ),
  );
}

const OPEN = [
  { section: 'events', may: 'read the events', how: 'Watch' },
  { section: 'map', may: 'read and change the map', how: 'Keys and rights' },
] as const;

function ofPair({ config }: Loaded): readonly Finding[] {
  const { role, curve } = config.bstar;
  if (role === 'standalone') return [];
  const name = 'link of the pair';
  if (curve !== null) return [ok(name, 'only keys in bstar.curve.keysFile may connect')];
  return [
    warning(
      name,
      'no keys: every user of this machine can connect as the peer and read all stored requests',
      'create keys with `majordomo keygen --pair keys`, and set bstar.curve',
    ),
  ];
}
