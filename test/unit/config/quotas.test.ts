import fc from 'fast-check';

import { quotasOf, type Quotas } from '../../../src/config/quotas.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import { load, problemsOf } from './support.js';

function resolved(yaml: string, name: string | null = null): Quotas {
  return quotasOf(load({ text: yaml }).config, name);
}

const GIB = 2 ** 30;

describe('the quotas of one identity (D75)', () => {
  it('are by default seven eighths of each limit, and some numbers of their own', () => {
    expect(resolved('')).toEqual({
      connections: 8750,
      outstanding: 875_000,
      queuedBytes: 0.875 * GIB,
      outputBytes: 64 * 2 ** 20,
      requestsPerSecond: Infinity,
      workers: 8750,
      stored: 8_750_000,
      storedBytes: 56 * GIB,
      waits: 10_000,
      hellos: 1000,
      sessions: 10_000,
      services: 8750,
      schedules: 600,
    });
  });

  it('go with the limits, and leave at least one place to others', () => {
    const limits = '{connections: 9, queuedRequests: 2, workers: 1, services: 1000}';
    expect(resolved(`limits: ${limits}\ntitanic: {maxOpen: 3}`)).toMatchObject({
      connections: 7,
      outstanding: 1,
      workers: 1,
      services: 875,
      stored: 2,
    });
  });

  it('never leave less to others than their part, whatever share and limit are', () => {
    const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    const limit = fc.integer({ min: 2, max: 1_000_000 });
    fc.assert(
      fc.property(share, limit, (part, workers) => {
        const quota = resolved(`limits: {perPeer: {share: ${part}}, workers: ${workers}}`).workers;
        expect(quota).toBeGreaterThanOrEqual(1);
        expect(quota).toBeLessThan(workers);
        expect(quota).toBeLessThanOrEqual(Math.max(1, workers * part));
      }),
      { numRuns: 200 },
    );
  });

  it('are the numbers that are given, for all and for keys that name a quota', () => {
    const yaml = `limits:
  perPeer: {share: 0.5, waits: 7, queuedBytes: 4KiB}
  quotas:
    batch: {share: 1, requestsPerSecond: 50, waits: 8}
`;
    const perPeer = { connections: 5000, waits: 7, queuedBytes: 4096, requestsPerSecond: Infinity };
    expect(resolved(yaml)).toMatchObject(perPeer);
    expect(resolved(yaml, 'batch')).toMatchObject({
      connections: 10_000,
      waits: 8,
      queuedBytes: 4096,
      requestsPerSecond: 50,
    });
    for (const unknown of ['none', 'toString', '__proto__']) {
      expect(resolved(yaml, unknown)).toMatchObject(perPeer);
    }
  });

  it('can be set one by one, over a file', () => {
    const { limits } = load({
      text: 'limits: {perPeer: {waits: 7, hellos: 8}}',
      environment: { MAJORDOMO_LIMITS__PER_PEER__REQUESTS_PER_SECOND: '9' },
      sets: ['limits.perPeer.waits=10', 'limits.quotas={a: {stored: 11}}'],
    }).config;
    expect(limits.perPeer).toEqual({ share: 0.875, waits: 10, hellos: 8, requestsPerSecond: 9 });
    expect(limits.quotas).toEqual({ a: { stored: 11 } });
  });

  it('that are wrong are told with their place', () => {
    const text = `limits:
  perPeer: {share: 0, waits: -1, queuedBytes: lots, wait: 1}
  quotas:
    batch: {stored: 1.5, share: 2}
    "a b": {}
    short: 5
`;
    expect(problemsOf({ text, sets: ['limits.perPeer=5', 'limits.quotas=[]'] })).toHaveLength(2);
    expect(problemsOf({ text })).toEqual([
      'FILE:2:20: limits.perPeer.share: expected a number above 0, at most 1, got 0',
      'FILE:2:30: limits.perPeer.waits: expected an integer from 1 to 16000000, got -1',
      'FILE:2:47: limits.perPeer.queuedBytes: expected a size from 1KiB to 1TiB (bytes, ' +
        'or an integer with KiB, MiB, GiB or TiB), got "lots"',
      'FILE:2:53: limits.perPeer.wait: unknown key; did you mean waits',
      'FILE:4:21: limits.quotas.batch.stored: expected an integer from 1 to 1000000000, got 1.5',
      'FILE:4:33: limits.quotas.batch.share: expected a number above 0, at most 1, got 2',
      'FILE:5:12: limits.quotas."a b": expected a name of 1 to 64 characters without spaces, ' +
        'got a map',
      'FILE:6:12: limits.quotas.short: expected a map of quotas, got 5',
    ]);
  });

  it('are known by the names of the rows', () => {
    const rows = SECTIONS['limits']?.keys['perPeer']?.keys ?? {};
    expect(Object.keys(rows)).toEqual(['share', ...Object.keys(resolved(''))]);
  });
});
