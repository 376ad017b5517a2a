/** What brokers of released versions published in a fleet, read by today's codec. */
import { decodedPack } from '../../support/fleet-packs.js';
import { Fixtures, VERSIONS } from '../../support/fixtures.js';

interface Recorded {
  readonly head: unknown;
  readonly entries: readonly { readonly kind: string }[];
  /** In Base64. */
  readonly bytes: string;
}

describe.each(VERSIONS)('the packs of a fleet of %s', (version) => {
  const packs = new Fixtures(version).lines('fleet.jsonl') as Recorded[];

  it('have the entries that they had, of every kind, and every field of them', () => {
    expect(packs.length).toBeGreaterThan(0);
    for (const { head, entries, bytes } of packs) {
      expect(decodedPack(Buffer.from(bytes, 'base64'))).toMatchObject({ head, entries });
    }
  });
});
