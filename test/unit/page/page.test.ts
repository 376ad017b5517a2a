import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const PAGE = new URL('../../../src/page/', import.meta.url);
/** The page as it is served. */
const SERVED = new URL('../../../program/page/', import.meta.url);
const GZIPPED_MAX = 65 * 1024;

/** They are compiled with a browser's types, which tests do not have. */
async function load<Module>(name: string): Promise<Module> {
  return (await import(new URL(name, PAGE).href)) as Module;
}

interface Axis {
  readonly scale: { top(value: number): number; words(value: number): string };
}

interface Heights {
  readonly labels: readonly (readonly [number, string])[];
  of(value: number): number;
}

interface Scales {
  readonly COUNTS: Axis;
  readonly LATENCIES: Axis;
  heightsOf(axis: Axis, values: readonly number[], isSmall: boolean): Heights;
  timesOf(windowMs: number, isSmall: boolean): readonly (readonly [number, string])[];
}

interface Rows {
  textOf(event: Readonly<Record<string, unknown>>): string;
}

it('a row of events has no fields that say nothing', async () => {
  const { textOf } = await load<Rows>('events-list.js');
  const of = { arrival: 1, time: '2026-11-26T10:00:00.000Z', severity: 'warn' };
  const event = { ...of, event: 'request.failed', service: 'echo', durable: false, reason: null };
  expect(textOf(event)).toBe('service echo');
  expect(textOf({ ...event, durable: true })).toBe('service echo  ·  durable true');
});

describe('the scales of charts (issue 12.6)', () => {
  it('have round maxima with round halves', async () => {
    const { COUNTS, LATENCIES } = await load<Scales>('scales.js');
    const written = ({ scale: { top, words } }: Axis, values: readonly number[]): string[] =>
      values.map((value) => `${words(top(value) / 2)}, ${words(top(value))}`);
    expect([
      ...written(COUNTS, [0.3, 4, 51, 1001, 1e9]),
      ...written(LATENCIES, [0.3, 1, 300, 501, 1000, 4000, 31000, 70000, 3e6, 4e6, 1e9]),
    ]).toEqual([
      ...['0.25, 0.5', '2.5, 5', '50, 100', '1k, 2k', '500M, 1000M'],
      ...['0.25 ms, 0.5 ms', '0.5 ms, 1 ms', '250 ms, 500 ms', '500 ms, 1 s', '500 ms, 1 s'],
      ...['2.5 s, 5 s', '30 s, 1 min', '1 min, 2 min', '30 min, 1 h', '1 h, 2 h', '250 h, 500 h'],
    ]);
  });

  it('are logarithmic for latencies that differ by a hundred times, and for nothing else', async () => {
    const { COUNTS, LATENCIES, heightsOf } = await load<Scales>('scales.js');
    const labels = (axis: Axis, values: readonly number[]): readonly string[] =>
      heightsOf(axis, values, false).labels.map(([, label]) => label);
    expect(labels(LATENCIES, [0, 2, 150])).toEqual(['0', '100 ms', '200 ms']);
    expect(labels(LATENCIES, [0, 2, 300])).toEqual(['1 ms', '10 ms', '100 ms', '1 s']);
    expect(labels(LATENCIES, [0.01, 9e7])).toHaveLength(4);
    expect(labels(COUNTS, [1, 1000])).toEqual(['0', '500', '1k']);
    const { of } = heightsOf(LATENCIES, [2, 300], false);
    expect([1, 10, 1000, 0].map(of)).toEqual([0, 1 / 3, 1, 0]);
  });

  it('have at most six times, however long the span is', async () => {
    const { timesOf } = await load<Scales>('scales.js');
    const MINUTE = 60_000;
    expect(timesOf(10 * MINUTE, false).map(([, label]) => label)).toEqual([
      ...['now', '−2 min', '−4 min', '−6 min', '−8 min', '−10 min'],
    ]);
    for (const minutes of [2, 3.5, 9, 30, 60, 299]) {
      expect(timesOf(minutes * MINUTE, false).length).toBeLessThanOrEqual(6);
    }
  });
});

describe('the state of a service in a sentence (issue 37)', () => {
  it('says that all workers are busy, and for how long the oldest request waits', async () => {
    interface State {
      readonly grade: string;
      readonly title: string;
      readonly text: string;
    }
    const { stateOf } = await load<{ stateOf(service: object, samples: readonly []): State }>(
      'service-state.js',
    );
    const stored = { pending: 5, delayed: 3, dead: 0, oldestMs: 90_000 };
    const rates = { repliesPerSecond: 2, failuresPerSecond: 0, p99Ms: 1500 };
    const base = { paused: false, oldestQueuedMs: null, plain: rates, durable: null };
    const said = (service: object): string => {
      const { grade, title, text } = stateOf({ ...base, ...service }, []);
      return `${grade}: ${title}: ${text}`;
    };
    const busy = { workersWaiting: 0, workersBusy: 1, queued: 1, oldestQueuedMs: 4000 };
    expect(said(busy)).toBe(
      'good: All workers busy: 1 request waiting, the oldest for 4 s; 1 worker',
    );
    expect(said({ ...busy, queued: 0, oldestQueuedMs: null, durable: stored })).toBe(
      'warn: All workers busy: 2 requests waiting, the oldest for 1 min 30 s; 1 worker',
    );
    expect(said({ ...busy, plain: { ...rates, failuresPerSecond: 2 } })).toBe(
      'bad: Failing: 50 % of the last minute’s requests failed; all workers busy; 1 request waiting, the oldest for 4 s; 1 worker',
    );
    expect(said({ ...busy, workersBusy: 0 })).toMatch(
      /^bad: No worker: 1 request waiting, the old/,
    );
    expect(said({ ...busy, workersWaiting: 1 })).toMatch(/^good: Serving: 2\S* replies/);
    const late = await load<{ isLate(service: object): boolean }>('../core/service-needs.js');
    const isLate = (oldestQueuedMs: number): boolean =>
      late.isLate({ ...base, ...busy, oldestQueuedMs });
    expect([isLate(4000), isLate(11_000)]).toEqual([false, true]);
  });
});

describe('names on the page (issue 37)', () => {
  it('are decoded, but for what a reader would not see or would misread', async () => {
    const { decoded } = await load<{ decoded(name: string): string }>('names.js');
    const shown = [
      ['plain.name', 'plain.name'],
      ['%D9%85%D8%B1', 'مر'],
      ['caf%C3%A9 50%25', 'café 50%'],
      // Bytes that are not UTF-8, and half a character.
      ['%FF', '%FF'],
      ['a%D9', 'a%D9'],
      // Two names never look the same: these are four bytes, and one.
      ['%25FF', '%25FF'],
      ['%25', '%'],
      ['%25%25FF', '%%25FF'],
      // Controls, a bidi override, a space without width, and one that looks like a space.
      ['%1B[2J%0A', '%1B[2J%0A'],
      ['%E2%80%AEx', '%E2%80%AEx'],
      ['a%E2%80%8Bb', 'a%E2%80%8Bb'],
      ['a%C2%A0b', 'a%C2%A0b'],
      ['%EF%BB%BFx', '%EF%BB%BFx'],
    ] as const;
    expect(shown.map(([name]) => [name, decoded(name)])).toEqual(shown);
  });
});

type Sample = Readonly<Record<string, number | null>>;

interface ServiceState {
  failingIn(
    samples: readonly Sample[],
  ): { readonly failures: number; readonly since: number } | null;
  growingIn(samples: readonly Sample[]): { readonly waiting: number; readonly more: number } | null;
}

/** One sample every four seconds, from the values of a column. */
function sampled(column: string, values: readonly (number | null)[]): readonly Sample[] {
  return values.map((value, index) => ({ at: 1000 + index * 4000, [column]: value }));
}

describe('what the page warns of (issue 55)', () => {
  it('is a service that answers nothing and fails three times in ten seconds', async () => {
    const { failingIn } = await load<ServiceState>('service-state.js');
    const of = (failed: readonly number[], replied: readonly number[] = []): unknown =>
      failingIn(
        sampled('failed', failed).map((each, index) => ({ ...each, replied: replied[index] ?? 0 })),
      );
    const failing = { failures: 4, since: 5000 };
    expect(of([0, 0.5, 0.25, 0, 0.25])).toEqual(failing);
    expect(failingIn(sampled('failedAttempts', [null, 0.5, 0.25, 0, 0.25]))).toEqual(failing);
    expect(of([0, 0.5, 0.25, 0, 0.25], [9])).toEqual(failing);
    // A reply since then, too few, not for long enough, or too long ago.
    expect(of([0, 0.5, 0.25, 0, 0.25], [0, 0, 0.25])).toBeNull();
    expect(of([0, 0.25, 0.25, 0, 0])).toBeNull();
    expect(of([0, 0, 9, 9])).toBeNull();
    expect(of([9, ...Array.from({ length: 74 }, () => 0)])).not.toBeNull();
    expect(of([9, ...Array.from({ length: 76 }, () => 0)])).toBeNull();
    expect(of([])).toBeNull();
  });

  it('is a queue that has grown all through the last minute', async () => {
    const { growingIn } = await load<ServiceState>('service-state.js');
    const of = (queued: readonly number[]): unknown => growingIn(sampled('queued', queued));
    expect(of([0, 5, 10, 15, 20, 25])).toEqual({ waiting: 25, more: 25, ms: 20_000 });
    const durable = sampled('queued', [0, 5, 10, 15, 20, 25]).map((each) => ({ ...each, open: 9 }));
    expect(growingIn(durable)).toEqual({ waiting: 34, more: 25, ms: 20_000 });
    // What came before the last minute does not count.
    expect(of([999, ...Array.from({ length: 16 }, (_, n) => n * 5)])).not.toBeNull();
    // A burst that is worked off, a queue that stays, one that is small, and too few samples.
    expect(of([0, 0, 90, 80, 70, 60])).toBeNull();
    expect(of([0, 0, 0, 0, 90, 80])).toBeNull();
    expect(of([500, 501, 500, 502, 503, 504])).toBeNull();
    expect(of([0, 1, 2, 3, 4, 5])).toBeNull();
    expect(of([0, 30, 60, 90])).toBeNull();
    expect(of([])).toBeNull();
  });
});

interface Services {
  allServices(): Promise<readonly unknown[]>;
}

interface Api {
  readonly commands: { value: number };
}

describe('the list of services (issue 85)', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('is loaded once for those who ask meanwhile, and anew after a command', async () => {
    const { allServices } = await load<Services>('services.js');
    const { commands } = await load<Api>('api.js');
    const page = (next: string | null): Response => Response.json({ items: [{}], next });
    const asked = jest.spyOn(globalThis, 'fetch').mockImplementation((path) => {
      const isSecond = typeof path === 'string' && path.includes('cursor');
      return Promise.resolve(page(isSecond ? null : 'more'));
    });
    const [first, joined] = [allServices(), allServices()];
    commands.value++;
    const fresh = allServices();
    expect(await first).toHaveLength(2);
    expect(await joined).toBe(await first);
    expect(await fresh).not.toBe(await first);
    expect(asked).toHaveBeenCalledTimes(4);
    expect(await allServices()).not.toBe(await fresh);
    expect(asked).toHaveBeenCalledTimes(6);
  });

  it('is loaded again after it could not be', async () => {
    const { allServices } = await load<Services>('services.js');
    const asked = jest.spyOn(globalThis, 'fetch').mockRejectedValueOnce(new Error('away'));
    await expect(allServices()).rejects.toThrow();
    asked.mockResolvedValueOnce(Response.json({ items: [], next: null }));
    expect(await allServices()).toEqual([]);
  });
});

describe('the module of the page (issue 37)', () => {
  it('is at most 65 KiB for browsers that take gzip', () => {
    expect(gzipSync(readFileSync(new URL('app.js', SERVED))).length).toBeLessThan(GZIPPED_MAX);
  });

  it('is served with the licences of the packages inside it', () => {
    const text = readFileSync(new URL('LICENSES.txt', SERVED), 'utf8');
    for (const name of ['preact', '@preact/signals', '@preact/signals-core', 'uplot']) {
      expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+, MIT$`, 'm'));
    }
    expect(text.match(/Permission is hereby granted/g)).toHaveLength(4);
  });
});
