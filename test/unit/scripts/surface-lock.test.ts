import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

interface Lock {
  readonly version: string;
  readonly locked: readonly string[];
  readonly isWhole: boolean;
}
const { readLock, lockText, namedIn, unnamed } = (await import(
  pathToFileURL(resolve('scripts/surface-lock.mjs')).href
)) as {
  readonly readLock: (text: string) => Lock;
  readonly lockText: (
    title: string,
    lock: Omit<Lock, 'isWhole'>,
    lines: readonly string[],
  ) => string;
  readonly namedIn: (changelog: string, version: string) => ReadonlySet<string>;
  readonly unnamed: (
    locked: readonly string[],
    lines: readonly string[],
    named: ReadonlySet<string>,
  ) => readonly string[];
};

const RELEASED = ['log.format: "json"', 'log.format?: string', 'log.level?: string', 'log: object'];
const NOW = ['log.format?: string', 'log.level?: integer', 'log: object'];
const [FORMAT, LEVEL] = ['log.format: "json"', 'log.level?: string'];

describe('the lock of a surface', () => {
  it('has what was released, marks what is new and what is gone, and keeps both until the next release', () => {
    const text = lockText('Keys', { version: '0.1.0', locked: RELEASED }, NOW);
    expect(text.split('\n').slice(1)).toEqual(
      [
        'log.format: "json"',
        'log.format?: string',
        'log.level?: integer',
        'log.level?: string',
        'log: object',
        '',
      ].map((line) => {
        if (line === FORMAT || line === LEVEL) return `- ${line}`;
        return line === 'log.level?: integer' ? `+ ${line}` : line;
      }),
    );
    const lock = readLock(text);
    expect(lock).toEqual({ version: '0.1.0', locked: RELEASED, isWhole: true });
    expect(lockText('Keys', lock, NOW)).toBe(text);
  });

  it('is not whole if somebody took out a line of the release', () => {
    const text = lockText('Keys', { version: '0.1.0', locked: RELEASED }, NOW);
    expect(readLock(text.replace(`- ${FORMAT}\n`, '')).isWhole).toBe(false);
    expect(readLock('').isWhole).toBe(false);
  });
});

const RELEASE = '\n## [0.1.0] - today\n';

describe('what was released', () => {
  const missing = (changelog: string, lines = NOW): readonly string[] =>
    unnamed(RELEASED, lines, namedIn(changelog, '0.1.0'));

  it('is missed if it is gone or says something else; what is new is not', () => {
    expect(missing('')).toEqual([FORMAT, LEVEL]);
    expect(missing('', [...RELEASED, 'log.colour?: boolean'])).toEqual([]);
  });

  it('may go if a later version names it under Removed or Changed', () => {
    const later =
      '## [0.2.0]\n\n### Added\n\n- `log.format`\n\n### Changed\n\n#### For operators\n\n- `log.level` is a number.\n';
    expect(missing(`\n${later}${RELEASE}`)).toEqual([FORMAT]);
    expect(missing(`\n${later}\n### Removed\n\n- \`log.format\`\n${RELEASE}`)).toEqual([]);
    expect(missing(`${RELEASE}${later}`)).toEqual([FORMAT, LEVEL]);
    // The version that is locked has no section: which names came after it is not known.
    expect(missing(later)).toEqual([FORMAT, LEVEL]);
  });

  it('may go with all that it belonged to under the name of that, but not while a part of it is there', () => {
    const changelog = `\n### Removed\n\n- The section \`log\`.\n${RELEASE}`;
    expect(missing(changelog, ['logs.level?: string'])).toEqual([]);
    expect(missing(changelog, ['log.level?: string'])).toEqual([FORMAT, 'log.format?: string']);
  });
});
