/** What is open to strangers: what `serve` refuses for it, and what every user of this machine may do. */
import { exposures } from '../../config/io/exposure.js';
import type { Loaded } from '../../config/io/load.js';
import { problemLine } from '../../config/problem.js';
import { type Finding, ok, problem, warning } from './finding.js';

export async function exposed(loaded: Loaded): Promise<readonly Finding[]> {
  const refused = (await exposures(loaded)).map((each) =>
    problem('open to strangers', problemLine(each), 'serve refuses this; docs/operating.md'),
  );
  return [...refused, ...ofListeners(loaded), ...(refused.length === 0 ? ofPair(loaded) : [])];
}

function ofListeners({ config }: Loaded): readonly Finding[] {
  return config.broker.listen
    .filter(({ insecure }) => insecure)
    .map(({ endpoint }) =>
      warning(
        `open to strangers ${endpoint}`,
        'insecure: true: everybody who reaches it may ask and offer what it allows, unseen',
        'give it curve (docs/operating.md, Keys and rights), or let a firewall say who reaches it',
      ),
    );
}

function ofPair({ config }: Loaded): readonly Finding[] {
  const { role, curve } = config.bstar;
  if (role === 'standalone') return [];
  const name = 'link of the pair';
  if (curve !== null) return [ok(name, 'nobody gets in without a key of bstar.curve.keysFile')];
  return [
    warning(
      name,
      'without keys: every user of this machine can be the peer, and read all that is stored',
      'make keys by `majordomo keygen --pair keys`, and set bstar.curve',
    ),
  ];
}
