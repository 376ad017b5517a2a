import { render, type Snapshot } from '../../../../src/cli/services/top-view.js';

function service(name: string, waiting: number, busy: number, queued: number): Snapshot['status'] {
  return { service: name, workersWaiting: waiting, workersBusy: busy, queued };
}

const SWIFT: Snapshot['status'] = {
  ...service('swift', 0, 2, 0),
  plain: { requestsPerSecond: 15, repliesPerSecond: 5, failuresPerSecond: 0 },
};

const SIGHT: Snapshot = {
  status: { node: 'left', role: 'primary', state: 'active', uptimeMs: 65_000 },
  health: { ready: true, reason: null, degraded: [{ code: 'store_full', text: 'disk full' }] },
  services: [{ ...service('slow', 0, 1, 5), paused: true }, SWIFT, service('idle', 3, 0, 0)],
  named: null,
};

function worker(
  name: string | null,
  inFlight: number,
  address: string | null = null,
): Snapshot['status'] {
  return {
    name,
    state: inFlight > 0 ? 'busy' : 'waiting',
    inFlight,
    credit: 4,
    sinceMs: 65_000,
    address,
  };
}

function lines(sight: Snapshot, columns: number, rows = 50): string[] {
  return render(sight, { columns, rows }).split('\n');
}

describe('what top shows', () => {
  it('is the node, what is hurt, and its services, paused ones marked', () => {
    expect(lines(SIGHT, 80)).toEqual([
      'left primary active, up 1m 5s, ready',
      'DEGRADED: disk full',
      '3 services, 6 workers (3 busy), 5 queued, 5.0 replies/s',
      '',
      'SERVICE         QUEUED     BUSY     FREE  PENDING     DEAD    OUT/S   FAIL/S',
      'slow (paused)        5        1        0        -        -        -        -',
      'swift                0        2        0        -        -      5.0      0.0',
      'idle                 0        0        3        -        -        -        -',
      '',
    ]);
  });

  it('is what is stored of a service, too, also without workers', () => {
    const pay = {
      ...service('pay', 0, 0, 0),
      plain: { repliesPerSecond: 2.5, failuresPerSecond: 12.34 },
      durable: { pending: 41, dead: 3 },
    };
    expect(lines({ ...SIGHT, services: [pay] }, 80).slice(2)).toEqual([
      '1 service, 0 workers (0 busy), 0 queued, 41 pending, 3 dead, 2.5 replies/s',
      '',
      'SERVICE   QUEUED     BUSY     FREE  PENDING     DEAD    OUT/S   FAIL/S     IN/S',
      'pay            0        0        0       41        3      2.5       12        -',
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

  it('has no total where no rates are measured', () => {
    const sight = { ...SIGHT, services: [service('slow', 0, 1, 5)] };
    expect(render(sight, { columns: 80, rows: 50 })).not.toContain('replies/s');
  });
});

describe('what top SERVICE shows', () => {
  const workers = [worker(null, 0), worker('vm-1:17', 3, '10.0.0.7'), worker('vm-2:9', 1, '::1')];
  const swift = { ...SIGHT, named: { service: 'swift', workers, isCut: false } };

  it('is that service and its workers by name, the busiest first', () => {
    expect(lines(swift, 80).slice(3)).toEqual([
      '',
      'SERVICE   QUEUED     BUSY     FREE  PENDING     DEAD    OUT/S   FAIL/S     IN/S',
      'swift          0        2        0        -        -      5.0      0.0       15',
      '',
      'WORKER   STATE    IN FLIGHT  SINCE  ADDRESS   CREDIT',
      'vm-1:17  busy             3  1m 5s  10.0.0.7       4',
      'vm-2:9   busy             1  1m 5s  ::1            4',
      '-        waiting          0  1m 5s  -              4',
      '',
    ]);
  });

  it.each([10, 20, 30, 40, 50, 60])(
    'fits into %d columns, whatever a worker calls itself',
    (columns) => {
      const long = worker('n'.repeat(768), 9, '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff');
      const many = { ...swift, named: { ...swift.named, workers: [...workers, long] } };
      for (const line of lines(many, columns)) expect(line.length).toBeLessThanOrEqual(columns);
      expect(lines(many, columns).join('\n')).toContain('vm-1:17');
    },
  );

  it('fits into a few rows, and says how many are left out', () => {
    const named = {
      service: 'swift',
      workers: Array.from({ length: 90 }, (_, n) => worker(`w${n}`, 0)),
      isCut: false,
    };
    const shown = lines({ ...SIGHT, named }, 80, 12);
    expect(shown.length).toBeLessThanOrEqual(12);
    expect(shown.at(-1)).toMatch(/^and 8\d more$/);
    const cut = lines({ ...SIGHT, named: { ...named, isCut: true } }, 80, 12);
    expect(cut.at(-1)).toMatch(/^and 8\d or more$/);
  });

  it('says that there is no worker, and shows no control characters of one', () => {
    const named = { service: 'nobody', workers: [], isCut: false };
    expect(lines({ ...SIGHT, named }, 80).at(-1)).toBe('no workers');
    const evil = { ...swift.named, workers: [worker('\u001b[2J\nx', 0, '\u0007')] };
    const text = lines({ ...SIGHT, named: evil }, 80).join('');
    expect(text.split('').filter((letter) => letter < ' ')).toEqual([]);
  });
});
