import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

type Numbers = ReadonlyMap<string, readonly number[]>;

const { countNames, lowered, readCeilings, tooMany } = (await import(
  pathToFileURL(resolve('scripts/name-count.mjs')).href
)) as {
  readonly countNames: (files: readonly (readonly [string, string])[]) => Numbers;
  readonly lowered: (text: string, counts: Numbers) => string;
  readonly readCeilings: (text: string) => Numbers;
  readonly tooMany: (counts: Numbers, ceilings: Numbers) => readonly string[];
};

const SEAM = `export interface Seam {
  one(): void;
  readonly two: () => void;
}
interface Data {
  readonly a: number;
  one(): void;
}
`;
const CLASS = `class Outer {
  send(to: string, ...rest: number[]): void {
    this.#inner.send(to, ...rest);
  }
  async read(at: number): Promise<number> {
    return await this.#inner.first.read(at);
  }
  other(to: string): void {
    this.#inner.send(to, 1);
  }
  own(to: string): void {
    this.send(to);
  }
}
`;

describe('the words of the rooms', () => {
  it('are named types, seams and their members, methods that pass on, and names in three rooms', () => {
    const counts = countNames([
      ['src/wire/a.ts', SEAM],
      ['src/wire/io/b.ts', CLASS],
      ['src/extensions/map/c.ts', 'type Data = 1;\n'],
      ['src/extensions/list.ts', 'enum Data {}\n'],
    ]);
    // Of wire, 3 types in 22 lines.
    expect([...counts]).toEqual([
      ['extensions', [1, 1000, 0, 0, 0, 1]],
      ['extensions/map', [1, 1000, 0, 0, 0, 1]],
      ['wire', [3, 136.4, 1, 2, 2, 1]],
    ]);
  });

  it('are too many above a ceiling, but not for more types in more lines, or the same in fewer', () => {
    const ceilings = readCeilings('# why\nwire 10 20.5 1 2 3 4\n');
    const having = (...numbers: number[]): readonly string[] =>
      tooMany(new Map([['wire', numbers]]), ceilings);
    expect(having(11, 20.5, 1, 2, 3, 4)).toEqual([]);
    expect(having(10, 21, 1, 2, 3, 4)).toEqual([]);
    expect(having(11, 21, 1, 3, 3, 4)).toEqual([
      'src/wire: 11 types, at most 10',
      'src/wire: 21 types per 1,000 lines, at most 20.5',
      'src/wire: 3 members of seams, at most 2',
    ]);
    expect(tooMany(new Map([['new', [1, 1, 0, 0, 0, 0]]]), ceilings)).toEqual([
      'src/new has no row',
    ]);
  });

  it('only go down in the file, which keeps its comments', () => {
    const text = '# why\ngone 1 1 1 1 1 1\n# because\nwire 10 20.5 1 2 3 4\n';
    const counts = new Map([
      ['map', [1, 2, 3, 4, 5, 6]],
      ['wire', [9, 21, 1, 1, 4, 4]],
    ]);
    const squeezed = lowered(text, counts).replaceAll(/ +/g, ' ');
    expect(squeezed).toBe('# why\n# because\nwire 9 20.5 1 1 3 4\nmap 1 2 3 4 5 6\n');
  });
});
