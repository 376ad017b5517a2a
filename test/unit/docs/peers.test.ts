import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { page, rowsBelow } from './page.js';

const { peerTables } = (await import(pathToFileURL(resolve('scripts/peers-table.mjs')).href)) as {
  readonly peerTables: () => Readonly<Record<string, readonly (readonly string[])[]>>;
};

it('docs/peers.md says what was run (else: npm run docs)', () => {
  for (const [heading, rows] of Object.entries(peerTables())) {
    expect([heading, rowsBelow(page('peers.md'), heading)]).toEqual([heading, rows]);
  }
});
