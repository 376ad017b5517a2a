/** What a broker offers others of a service with limits (D118): they hold at each broker by itself. */
import type { RunLimit } from '../../../src/broker/options.js';
import { endFleets, fleet, type FleetStage, type FleetWorld } from '../../support/fleet-stage.js';

afterEach(endFleets);

const NONE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };

function limit(stage: FleetStage, service: Partial<RunLimit>): void {
  const limits = { service: { ...NONE, ...service }, group: null, holds: false };
  stage.input((broker) => broker.setServiceLimits(() => limits));
}

function two(service: Partial<RunLimit>): {
  readonly w: FleetWorld;
  readonly limited: FleetStage;
  readonly asking: FleetStage;
} {
  const w = fleet();
  const [limited, asking] = [w.broker('limited'), w.broker('asking')];
  limit(limited, service);
  // Longer than it takes to know what workers run.
  w.after(10_000);
  return { w, limited, asking };
}

describe('a broker with a limit for a service', () => {
  it('gets no more requests of others than may start: another one with workers gets them', () => {
    const { w, limited, asking } = two({ running: 1 });
    const third = w.broker('third');
    const full = limited.worker('full').ready('echo', { credit: 10 }).heartbeatsEvery(1000);
    const own = limited.client('own').request('echo', 'own');
    w.after(500);
    expect(full.inbox()).toEqual(['REQUEST own']);
    const free = third.worker('free').ready('echo', { credit: 10 }).heartbeatsEvery(1000);
    const client = asking.client('c');
    for (let n = 0; n < 9; n++) {
      client.request('echo', String(n));
      w.after(500);
      expect([full.inbox(), free.inbox()]).toEqual([[], [`REQUEST ${n}`]]);
      // While more is out at the free one, the other would be the less loaded.
      if (n > 4) free.final('done');
    }
    for (let n = 0; n < 5; n++) free.final('done');
    full.final('done');
    w.after(500);
    expect(client.inbox()).toHaveLength(9);
    expect(own.inbox()).toEqual(['FINAL echo done']);
  });

  it('gets the next one when another may start', () => {
    const { w, limited, asking } = two({ running: 1 });
    const worker = limited.worker('w').ready('echo', { credit: 10 }).heartbeatsEvery(1000);
    const client = asking.client('c');
    for (const body of ['1', '2', '3']) client.request('echo', body);
    for (const body of ['1', '2', '3']) {
      w.after(1000);
      expect(worker.inbox()).toEqual([`REQUEST ${body}`]);
      // The others wait where they may still go elsewhere.
      expect(asking.broker.load.requestsOut).toBe(1);
      worker.final(body);
    }
    w.after(1000);
    expect(client.inbox()).toEqual(['FINAL echo 1', 'FINAL echo 2', 'FINAL echo 3']);
  });

  it('gets as many as its rate allows', () => {
    const { w, limited, asking } = two({ perSecond: 1 });
    const worker = limited.worker('w').ready('echo', { credit: 10 }).heartbeatsEvery(1000);
    const client = asking.client('c');
    for (const body of ['1', '2', '3']) client.request('echo', body);
    const starts: number[] = [];
    for (let ms = 0; ms < 4000 && starts.length < 3; ms += 50) {
      w.after(50);
      for (const _ of worker.inbox()) {
        starts.push(ms);
        worker.final('ok');
      }
    }
    const [first = 0, second = 0, third = 0] = starts;
    expect([second - first, third - second].every((gap) => gap >= 950 && gap <= 1300)).toBe(true);
    w.after(500);
    expect(client.inbox()).toHaveLength(3);
  });
});
