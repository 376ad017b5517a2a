import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

import {
  CLIENT_DEFAULTS,
  CLOSE_DEFAULTS,
  MAP_DEFAULTS,
  PUBLISHER_DEFAULTS,
  SUBSCRIBER_DEFAULTS,
  WORKER_DEFAULTS,
} from '../../../src/sdk/defaults.js';
import { sourceFile } from './declared.js';
import { page, rowsBelow, words } from './page.js';

const SIZE = /^(\d+) MiB$/;

/** `64 MiB`, `true`, `2500` and `wait`, as values. */
function valueOf(text: string): unknown {
  const size = SIZE.exec(text);
  if (size !== null) return Number(size[1]) * 2 ** 20;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** The defaults in a table of docs/sdk.md, of the options that have a constant one. */
function documented(heading: string, defaults: object): Record<string, unknown> {
  const rows = rowsBelow(page('sdk.md'), heading).flatMap(([names, values = '']) => {
    const given = values.split(',').map((value) => value.trim());
    return words(names).map((name, index): [string, unknown] => {
      const text = given[index] ?? given[0] ?? '';
      return [name, valueOf(words(text)[0] ?? text)];
    });
  });
  // The first table below the heading is that of the constructor: it comes last, so it counts.
  return Object.fromEntries(rows.reverse().filter(([name]) => Object.hasOwn(defaults, name)));
}

/** The defaults in the docstrings of an interface of options. */
function inDocstrings(name: string, defaults: object): Record<string, unknown> {
  const files = [
    ...['src/sdk/options.ts', 'src/sdk/worker/worker-options.ts'],
    ...['src/sdk/stream/publisher-options.ts', 'src/sdk/stream/subscriber-options.ts'],
    'src/sdk/map/map-options.ts',
  ].map(sourceFile);
  const found: [string, unknown][] = [];
  const statements = files.flatMap((file) => [...file.statements]);
  const options = statements.find(
    (each) => ts.isInterfaceDeclaration(each) && each.name.text === name,
  );
  let carried: string[] = [];
  for (const member of options !== undefined && ts.isInterfaceDeclaration(options)
    ? options.members
    : []) {
    const key = member.name?.getText() ?? '';
    if (!Object.hasOwn(defaults, key)) continue;
    const text = ts.getJSDocCommentsAndTags(member).map((each) => each.getText());
    const several = / Defaults (\w+) and (\w+)\./.exec(text.join(' '));
    const one = / Default `?([^`.]+(?:\.\d+)?)`?\./.exec(text.join(' ').replace(/\s+\*?\s*/g, ' '));
    if (several !== null) carried = several.slice(1);
    const value = several !== null || one === null ? carried.shift() : one[1];
    found.push([key, valueOf(value ?? 'none')]);
  }
  return Object.fromEntries(found);
}

describe('the defaults of the SDK', () => {
  const tables: [string, string, object][] = [
    ['## Client', 'ClientOptions', CLIENT_DEFAULTS],
    ['## Worker', 'WorkerOptions', WORKER_DEFAULTS],
    ['### Publisher', 'PublisherOptions', PUBLISHER_DEFAULTS],
    ['### Subscriber', 'SubscriberOptions', SUBSCRIBER_DEFAULTS],
    ['## Shared map', 'SharedMapOptions', MAP_DEFAULTS],
  ];
  it.each(tables)(
    'below %s in docs/sdk.md, and in the docstrings of %s',
    (heading, name, defaults) => {
      expect(documented(heading, defaults)).toEqual(defaults);
      expect(inDocstrings(name, defaults)).toEqual(defaults);
    },
  );

  it('of close', () => {
    expect(inDocstrings('CloseOptions', CLOSE_DEFAULTS)).toEqual(CLOSE_DEFAULTS);
    expect(page('sdk.md')).toContain(`\`close({ graceMs })\`** (${CLOSE_DEFAULTS.graceMs})`);
  });

  it('of majordomo request, in docs/cli.md', () => {
    const { timeoutMs, retries } = CLIENT_DEFAULTS;
    const cli = page('cli.md');
    const given = Array.from(cli.matchAll(/`--timeout-ms` \((\d+)\)/g), ([, value]) => value);
    expect(new Set(given)).toEqual(new Set([String(timeoutMs)]));
    expect(cli).toContain(`\`--retries\` (${retries})`);
  });
});
