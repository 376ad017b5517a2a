import { type CountedService, CountedServices } from '../../../src/core/counted-services.js';
import { increment } from '../../../src/core/counts.js';
import { escapeName } from '../../../src/core/escape.js';

const FAILED = 0;
const DONE = 1;
/** What the metrics of all labelled services may take. */
const LABELLED_BYTES_MAX = 32 * 1024 * 1024;
const GAUGE = 2;
const LAYOUT = { failures: 1, counters: 2, columns: 3 };
const MINUTE = 60_000;

/** Services and their labels, by a clock of the test's own. */
class Lender {
  readonly all = new CountedServices(LAYOUT);
  #now = 0;

  constructor(most: number) {
    this.all.most = most;
  }

  /** A service with a worker. */
  serve(...names: readonly string[]): void {
    for (const name of names) this.all.served(this.all.of(name));
  }

  count(name: string, column: number, by = 1): void {
    increment(this.of(name).plain.now, column, by);
  }

  of(name: string): CountedService {
    return this.all.of(name);
  }

  /** Lets time pass, with a mark at its end. */
  after(ms: number): this {
    this.#now += ms;
    this.all.mark(this.#now);
    return this;
  }

  get labelled(): readonly string[] {
    const labelled = [...this.all.byName.values()].filter(({ hasLabel }) => hasLabel);
    return labelled.map(({ shown }) => shown).sort();
  }
}

describe('the text of a label', () => {
  const { all } = new Lender(1);
  const labelOf = (shown: string): string => all.of(shown).label;

  it('is the name up to 100 characters; of a longer one the beginning, and a digest of it all', () => {
    expect(labelOf('n'.repeat(100))).toBe('n'.repeat(100));
    expect(labelOf('n'.repeat(101))).toMatch(/^n{64}…[\w-]{22}$/);
  });

  it('differs for names that differ in one character, wherever it is', () => {
    const name = '%01'.repeat(255);
    const names = Array.from(
      { length: 255 },
      (_, at) => name.slice(0, 3 * at) + '%02' + name.slice(3 * at + 3),
    );
    expect(new Set([name, ...names].map(labelOf)).size).toBe(256);
    // What is shown as another's label is none: no name is shown so.
    expect(labelOf(labelOf(name))).toBe(labelOf(name));
    expect(escapeName(Buffer.from(labelOf(name)))).not.toBe(labelOf(name));
  });
});

describe('a label', () => {
  it('is not lent once the texts of all take 32 MiB, and an idle one is given up for it', () => {
    const lender = new Lender(1e6);
    const names = Array.from({ length: 2300 }, (_, at) => String(at).padEnd(100, '"'));
    lender.serve(...names);
    const bytes = (): number =>
      lender.labelled.reduce((sum, name) => sum + lender.of(name).textBytes, 0);
    const before = lender.labelled.length;
    expect(before).toBeLessThan(names.length);
    expect(bytes()).toBeLessThanOrEqual(LABELLED_BYTES_MAX);
    const last = names.at(-1) ?? '';
    lender.after(2 * MINUTE).count(last, FAILED);
    lender.after(4000);
    expect(lender.of(last).hasLabel).toBe(true);
    expect(lender.labelled).toHaveLength(before);
    expect(bytes()).toBeLessThanOrEqual(LABELLED_BYTES_MAX);
  });

  it('is lent at once while there are some, and given back with its service', () => {
    const lender = new Lender(2);
    lender.serve('a', 'b', 'c');
    expect(lender.labelled).toEqual(['a', 'b']);
    lender.all.forget(lender.of('a'));
    lender.serve('d');
    expect(lender.labelled).toEqual(['b', 'd']);
  });

  it('that is free goes to a service that is used again', () => {
    const lender = new Lender(1);
    lender.serve('a', 'idle', 'busy');
    lender.all.forget(lender.of('a'));
    lender.count('busy', DONE);
    lender.after(4000);
    expect(lender.labelled).toEqual(['busy']);
  });

  it('is taken from what has been idle longest, by what has failures', () => {
    const lender = new Lender(3);
    lender.serve('old', 'older', 'busy', 'hurt');
    lender.count('older', DONE);
    lender.after(4000);
    lender.count('old', DONE);
    lender.after(4000).after(2 * MINUTE);
    lender.count('busy', DONE);
    lender.count('hurt', FAILED);
    lender.after(4000);
    expect(lender.labelled).toEqual(['busy', 'hurt', 'old']);
  });

  it('is taken from nothing that was used in the last minute, failed in the last ten, or is stored', () => {
    const lender = new Lender(3);
    lender.serve('busy', 'failed', 'hurt');
    lender.all.stores(lender.of('stored'), LAYOUT);
    expect(lender.labelled).toEqual(['busy', 'failed', 'hurt']);
    lender.all.forget(lender.of('hurt'));
    lender.after(4000);
    expect(lender.labelled).toEqual(['busy', 'failed', 'stored']);
    lender.count('failed', FAILED);
    lender.after(9 * MINUTE);
    lender.count('busy', DONE);
    lender.serve('next');
    lender.count('next', FAILED);
    lender.after(4000);
    expect(lender.labelled).toEqual(['busy', 'failed', 'stored']);
    lender.after(2 * MINUTE);
    expect(lender.labelled).toEqual(['failed', 'next', 'stored']);
  });

  it('is not taken by what has no failures, however busy it is', () => {
    const lender = new Lender(1);
    lender.serve('idle', 'busy');
    lender.count('busy', DONE, 1000);
    lender.after(60 * MINUTE);
    expect(lender.labelled).toEqual(['idle']);
  });

  it('is one of at most half of all for services that never had a worker', () => {
    const lender = new Lender(4);
    for (const name of ['a', 'b', 'c', 'd']) lender.all.stores(lender.of(name), LAYOUT);
    lender.after(4000);
    expect(lender.labelled).toEqual(['a', 'b']);
    lender.serve('a', 'honest');
    lender.after(4000);
    expect(lender.labelled).toEqual(['a', 'b', 'c', 'honest']);
  });

  it('is lent to fewer services after their number was lowered: those that matter least lose theirs', () => {
    const lender = new Lender(3);
    lender.serve('idle', 'failed', 'busy');
    lender.count('failed', FAILED);
    lender.after(4000);
    lender.count('busy', DONE);
    lender.all.most = 2;
    lender.after(4000);
    expect(lender.labelled).toEqual(['busy', 'failed']);
    lender.all.most = 1;
    lender.after(4000);
    expect(lender.labelled).toEqual(['failed']);
  });
});

describe('what is counted', () => {
  it('adds up to the same total whoever has a label, and under `__other__` never decreases', () => {
    const lender = new Lender(1);
    const totals = (): readonly number[] => [
      lender.all.total('plain')[DONE] ?? NaN,
      lender.all.unlabelled('plain')[DONE] ?? NaN,
    ];
    lender.count('a', DONE, 3);
    lender.count('b', DONE, 5);
    expect(totals()).toEqual([8, 8]);
    lender.serve('a', 'b');
    expect(totals()).toEqual([8, 8]);
    lender.count('a', DONE, 2);
    expect(totals()).toEqual([10, 8]);
    lender.all.forget(lender.of('a'));
    expect(totals()).toEqual([10, 8]);
    lender.all.forget(lender.of('b'));
    expect(totals()).toEqual([10, 8]);
  });

  it('since a mark stays when a label is lent in between', () => {
    const lender = new Lender(1);
    lender.count('a', DONE, 3);
    lender.after(4000);
    lender.count('a', DONE, 2);
    lender.serve('a');
    lender.count('a', DONE);
    const { plain } = lender.of('a');
    expect([plain.now[DONE], plain.sinceLast()[DONE], plain.sinceOlder()[DONE]]).toEqual([1, 3, 6]);
  });

  it('does not move gauges with it', () => {
    const lender = new Lender(1);
    lender.count('a', GAUGE, 7);
    lender.count('a', DONE);
    lender.serve('a');
    expect([lender.of('a').plain.now[GAUGE], lender.all.unlabelled('plain')[GAUGE]]).toEqual([
      7, 0,
    ]);
  });

  it('of a service with stored requests stays when the broker forgets it', () => {
    const lender = new Lender(1);
    lender.all.stores(lender.of('a'), LAYOUT);
    lender.all.forget(lender.of('a'));
    expect(lender.labelled).toEqual(['a']);
    lender.of('a').isStored = false;
    lender.all.forget(lender.of('a'));
    expect(lender.all.find('a')).toBeNull();
  });
});
