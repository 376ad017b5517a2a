import { describe, expect, it } from '@jest/globals';

import { counted } from '../../../src/cli/top/counted.js';
import { picture, type Sight } from '../../../src/cli/top/picture.js';

function service(name: string, waiting: number, busy: number, queued: number): Sight['status'] {
  return { service: name, workersWaiting: waiting, workersBusy: busy, queued };
}

const SIGHT: Sight = {
  at: 3000,
  status: { node: 'left', role: 'primary', state: 'active', uptimeMs: 65_000 },
  health: { ready: true, reason: null, degraded: [{ code: 'store_full', text: 'disk full' }] },
  services: [service('idle', 3, 0, 0), service('slow', 0, 1, 5), service('swift', 0, 2, 0)],
  counts: new Map([['swift', { received: 130, replied: 110 }]]),
  before: { at: 1000, counts: new Map([['swift', { received: 100, replied: 100 }]]) },
};

function lines(sight: Sight, columns: number, rows = 50): string[] {
  return picture(sight, { columns, rows }).split('\n');
}

describe('what top shows', () => {
  it('is the node, what is hurt, and its services, the most loaded first', () => {
    expect(lines(SIGHT, 80)).toEqual([
      'left primary active, up 1m 5s, ready',
      'DEGRADED: disk full',
      '3 services, 6 workers (3 busy), 5 queued, 5.0 replies/s',
      '',
      'SERVICE   QUEUED     BUSY  WAITING    OUT/S     IN/S',
      'slow           5        1        0        -        -',
      'swift          0        2        0      5.0       15',
      'idle           0        0        3        -        -',
      '',
    ]);
  });

  it.each([10, 20, 30, 40, 60])('fits into %d columns', (columns) => {
    const long = { ...SIGHT, services: [service('x'.repeat(200), 1, 1, 1), ...SIGHT.services] };
    for (const line of lines(long, columns)) expect(line.length).toBeLessThanOrEqual(columns);
    expect(lines(long, columns).join('\n')).toContain('slow');
  });

  it('fits into a few rows, and says how many are left out', () => {
    const all = {
      ...SIGHT,
      services: Array.from({ length: 90 }, (_, n) => service(`s${n}`, 1, 0, 0)),
    };
    const shown = lines(all, 80, 10);
    expect(shown.length).toBeLessThanOrEqual(10);
    expect(shown.at(-1)).toBe('and 86 more');
  });

  it('says why the node is not ready', () => {
    const health = {
      ready: false,
      reason: { code: 'passive', text: 'its peer serves' },
      degraded: [],
    };
    expect(lines({ ...SIGHT, health }, 80)[0]).toContain('NOT READY: its peer serves');
  });

  it('knows no rates at first, nor where nothing is counted', () => {
    for (const sight of [
      { ...SIGHT, before: null },
      { ...SIGHT, counts: null },
    ]) {
      expect(picture(sight, { columns: 80, rows: 50 })).not.toContain('replies/s');
    }
  });

  it('shows no negative rate when the daemon began to count anew', () => {
    const counts = new Map([['swift', { received: 1, replied: 1 }]]);
    expect(picture({ ...SIGHT, counts }, { columns: 80, rows: 50 })).toContain('0.0 replies/s');
  });
});

describe('requests counted, as the metrics have them', () => {
  it('by service, its name as it is', () => {
    const text = [
      '# HELP majordomo_requests_received_total Requests.',
      'majordomo_requests_received_total{service="a"} 12',
      'majordomo_requests_replied_total{service="a"} 1e3',
      String.raw`majordomo_requests_received_total{service="\"q\\"} 1`,
      'majordomo_requests_expired_total{service="a"} 7',
      '',
    ].join('\n');
    expect(counted(text)).toEqual(
      new Map([
        ['a', { received: 12, replied: 1000 }],
        ['"q\\', { received: 1, replied: 0 }],
      ]),
    );
  });
});
