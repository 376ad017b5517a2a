import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { itemsBelow, page } from './page.js';

const { peerLists } = (await import(pathToFileURL(resolve('scripts/peers-list.mjs')).href)) as {
  readonly peerLists: () => Readonly<Record<string, readonly string[]>>;
};

it('docs/peers.md says what was run (else: npm run docs)', () => {
  for (const [heading, items] of Object.entries(peerLists())) {
    expect([heading, itemsBelow(page('peers.md'), heading)]).toEqual([heading, items]);
  }
});
