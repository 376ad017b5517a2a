import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { EventTable } from '../../../src/core/event-table.js';
import { extensions } from '../../../src/extensions/list.js';
import { eventsOf } from '../../../src/node/node.js';
import { page, rowsBelow, words } from './page.js';

const PAGE = page('logs.md');
const EVENTS: EventTable = eventsOf(extensions());

type Load = (path: string) => Promise<unknown>;
const { logTables } = (await import(pathToFileURL(resolve('scripts/logs-tables.mjs')).href)) as {
  readonly logTables: (load: Load) => Promise<Readonly<Record<string, readonly string[][]>>>;
};
const TABLES = await logTables((path) => import(`../../../src/${path}`));

describe('docs/logs.md', () => {
  it.each(Object.keys(TABLES))('has the tables of the code (else: npm run docs): %s', (heading) => {
    expect(rowsBelow(PAGE, heading)).toEqual(TABLES[heading]);
  });

  it('has every event that a node may publish', () => {
    const headings = Object.keys(TABLES).filter((heading) => heading.startsWith('## Events of'));
    const rows = headings.flatMap((heading) => rowsBelow(PAGE, heading));
    const described = rows.map(([event]) => words(event)[0]);
    expect(described).toEqual(expect.arrayContaining(Object.keys(EVENTS)));
  });
});

describe('every event', () => {
  it('has a name of its own: no table of the others has it', () => {
    const tables = [...extensions().map(({ events }) => events ?? {}), eventsOf([])];
    const names = tables.flatMap((table) => Object.keys(table));
    expect(new Set(names).size).toBe(names.length);
  });

  it('withholds from strangers what names somebody, or was named by somebody', () => {
    const secret = ['address', 'key', 'record', 'schedule', 'token', 'who'];
    const open = Object.entries(EVENTS).flatMap(([event, { fields }]) =>
      Object.entries(fields).flatMap(([name, { author }]) =>
        secret.includes(name) && author === undefined ? `${event} ${name}` : [],
      ),
    );
    expect(open).toEqual([]);
  });

  it('is limited, and worried about less, by fields and words that it has', () => {
    for (const [name, { by = [], usual = [], fields }] of Object.entries(EVENTS)) {
      expect([name, Object.keys(fields)]).toEqual([name, expect.arrayContaining([...by])]);
      const known = Object.keys(fields['reason']?.words ?? {});
      expect([name, known]).toEqual([name, expect.arrayContaining([...usual])]);
    }
  });
});
