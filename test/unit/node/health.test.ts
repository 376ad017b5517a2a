import { NodeHealth } from '../../../src/node/health.js';
import { METRICS } from '../../../src/admin/metrics/metric-table.js';

describe('the health of a node (contract §4)', () => {
  it('is not ready while it starts and drains, and ready in between', () => {
    const health = new NodeHealth();
    expect(health.now.notReady?.code).toBe('starting');
    health.phase = 'serving';
    expect(health.now).toEqual({ notReady: null, takesOver: false, degraded: [] });
    health.phase = 'draining';
    expect(health.now.notReady?.code).toBe('draining');
  });

  it('is ready and degraded from the failure of the store until it has healed', () => {
    const health = new NodeHealth();
    health.phase = 'serving';
    health.emit({ name: 'store.failed', kind: 'full', text: 'the disk is full' });
    expect(health.now).toEqual({
      notReady: null,
      takesOver: false,
      degraded: [
        { code: 'store_full', text: 'durable requests are refused (500): the disk is full' },
      ],
    });
    const codes = METRICS.degraded.labels['reason'];
    expect(codes).toContain('store_full');
    health.emit({ name: 'store.failed', kind: 'busy', text: 'it is locked' });
    expect(codes).toEqual(expect.arrayContaining(health.now.degraded.map(({ code }) => code)));
    health.emit({ name: 'store.healed' });
    expect(health.now.degraded).toEqual([]);
  });

  it('names a database that is lost, not what follows from it', () => {
    const health = new NodeHealth();
    const codes = (): string[] => health.now.degraded.map(({ code }) => code);
    health.emit({ name: 'store.lost', text: 'no answer' });
    health.emit({ name: 'store.failed', kind: 'busy', text: 'no answer' });
    health.emit({ name: 'store.session_lost', text: 'permission denied' });
    expect(codes()).toEqual(['store_lost']);
    // Then durable requests are refused for the next reason, and say so.
    health.emit({ name: 'store.returned', host: 'db1:5432', awayMs: 1 });
    expect(codes()).toEqual(['store_no_session']);
    expect(health.now.degraded[0]?.text).toContain('no session with the store: permission denied');
    health.emit({ name: 'store.session_taken' });
    expect(codes()).toEqual(['store_busy']);
    health.emit({ name: 'store.healed' });
    expect(codes()).toEqual([]);
  });

  it('names a full disk beside a database that is lost', () => {
    const health = new NodeHealth();
    health.emit({ name: 'store.failed', kind: 'full', text: 'the disk is full' });
    health.emit({ name: 'store.lost', text: 'no answer' });
    expect(health.now.degraded.map(({ code }) => code)).toEqual(['store_lost', 'store_full']);
  });

  it('is degraded while its clock is before the newest stored request (D110)', () => {
    const health = new NodeHealth();
    const newest = '2026-11-20T00:00:00.000Z';
    health.emit({ name: 'clock.behind', behindMs: 6000, newest });
    expect(health.now.degraded).toEqual([
      { code: 'clock_behind', text: expect.stringContaining(newest) },
    ]);
    expect(METRICS.degraded.labels['reason']).toContain('clock_behind');
    health.emit({ name: 'clock.caught_up' });
    expect(health.now.degraded).toEqual([]);
  });

  it('is degraded for what its extensions say', () => {
    const health = new NodeHealth();
    const reason = { code: 'fleet_down', text: 'no connection to NATS' };
    health.ofExtensions = () => [reason];
    expect(health.now.degraded).toEqual([reason]);
  });

  it('is not ready while the node of a pair does not serve, and says what the pair says', () => {
    const health = new NodeHealth();
    health.phase = 'serving';
    const reason = { code: 'passive', text: 'its peer serves' };
    health.pair = { notReady: reason, takesOver: true, degraded: [] };
    expect(health.now).toMatchObject({ notReady: reason, takesOver: true });
    health.phase = 'draining';
    expect(health.now.takesOver).toBe(false);
  });
});
