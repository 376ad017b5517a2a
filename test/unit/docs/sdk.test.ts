import ts from 'typescript';

import {
  CLIENT_OPTIONS,
  CLOSE_OPTIONS,
  FREELANCE_CLIENT_OPTIONS,
  type OptionTable,
  PUBLISHER_OPTIONS,
  SHARED_MAP_OPTIONS,
  SUBSCRIBER_OPTIONS,
  WORKER_OPTIONS,
} from '../../../src/sdk/option-tables.js';
import { sourceFile } from './declared.js';
import { page } from './page.js';

const SIZE = /^(\d+) MiB$/;

/** `64 MiB`, `true`, `2500` and `wait`, as values. */
function valueOf(text: string): unknown {
  const size = SIZE.exec(text);
  if (size !== null) return Number(size[1]) * 2 ** 20;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d+$/.test(text) ? Number(text) : text;
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
  const all: [string, OptionTable][] = [
    ['ClientOptions', CLIENT_OPTIONS],
    ['FreelanceClientOptions', FREELANCE_CLIENT_OPTIONS],
    ['WorkerOptions', WORKER_OPTIONS],
    ['PublisherOptions', PUBLISHER_OPTIONS],
    ['SubscriberOptions', SUBSCRIBER_OPTIONS],
    ['SharedMapOptions', SHARED_MAP_OPTIONS],
    ['CloseOptions', CLOSE_OPTIONS],
  ];
  it.each(all)('in the docstrings of %s, which make the reference', (name, table) => {
    const defaults = Object.fromEntries(
      Object.entries(table).flatMap(([option, row]) =>
        [undefined, null].includes(row.default as null) ? [] : [[option, row.default]],
      ),
    );
    expect(inDocstrings(name, defaults)).toEqual(defaults);
  });

  it('that the manual names', () => {
    const manual = page('sdk.md');
    expect(manual).toContain(`\`timeoutMs\` (${CLIENT_OPTIONS.timeoutMs.default})`);
    expect(manual).toContain(`\`resendMs\` (${CLIENT_OPTIONS.resendMs.default})`);
    expect(manual).toContain(`\`close({ graceMs })\`** (${CLOSE_OPTIONS.graceMs.default})`);
  });

  it('of majordomo request, in docs/cli.md', () => {
    const { timeoutMs } = CLIENT_OPTIONS;
    const cli = page('cli.md');
    const given = Array.from(cli.matchAll(/`--timeout-ms` \((\d+)\)/g), ([, value]) => value);
    expect(new Set(given)).toEqual(new Set([String(timeoutMs.default)]));
  });
});
