import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { page } from './page.js';

const { decisionsPage } = (await import(pathToFileURL(resolve('scripts/decisions.mjs')).href)) as {
  readonly decisionsPage: (protocol: string) => string;
};

describe('docs/decisions.md', () => {
  it('is made from docs/protocol.md and the code (else: npm run docs)', () => {
    expect(page('decisions.md')).toBe(decisionsPage(page('protocol.md')));
  });

  it('has every decision that the code names, with all of its files', () => {
    const entries = new Map(
      page('decisions.md')
        .split('\n## ')
        .slice(1)
        .map((entry) => [/^D\d+/.exec(entry)?.[0], entry]),
    );
    const names = readdirSync('src', { recursive: true, encoding: 'utf8' });
    const missing = names
      .filter((name) => /\.tsx?$/.test(name))
      .flatMap((name) =>
        (readFileSync(join('src', name), 'utf8').match(/\bD[1-9]\d{0,2}\b/g) ?? [])
          .filter((decision) => entries.get(decision)?.includes(`\`${name}\``) !== true)
          .map((decision) => `${decision} in ${name}`),
      );
    expect(missing).toEqual([]);
    expect(entries.size).toBeGreaterThan(100);
  });
});

describe('what the index says of a decision', () => {
  const said = (protocol: string): string | undefined =>
    /^## D5\n\n(.*)/m.exec(decisionsPage(protocol))?.[1];

  it.each([
    [
      'a label',
      '- **D5.** It begins here, in `a. b`, and ends behind that. And more.',
      'It begins here, in `a. b`, and ends behind that.',
    ],
    [
      'a title',
      '**Names (D5).** One is too short. But this\n  helps. More.',
      'Names: One is too short. But this helps.',
    ],
    [
      'a heading',
      '### Names (D5)\n\nA text that is long enough to stand here by itself. More.',
      'Names: A text that is long enough to stand here by itself.',
    ],
    [
      'a subject',
      '**Names (D5)** are what is told to everybody who asks. More.',
      'Names are what is told to everybody who asks.',
    ],
    [
      'a mention',
      'Before. All names are given up after a day at last (**D5**). More.',
      'All names are given up after a day at last.',
    ],
    [
      'a mention of what goes on',
      'All names are kept. They are given up after a day at last (**D5**).',
      'All names are kept. They are given up after a day at last.',
    ],
  ])('is the first sentence of %s', (_, text, sentence) => {
    expect(said(`## Clients\n\n${text}\n`)).toContain(`${sentence} Section: [`);
  });

  it('is that of its own paragraph, and not of a mention before', () => {
    expect(
      said(
        '## A\n\nFirst (**D5**).\n\n## B\n\n- **D5.** Here is the decision, in all of its length.\n',
      ),
    ).toBe('Here is the decision, in all of its length. Section: [B](protocol.md#b).');
  });
});
