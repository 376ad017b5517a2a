/** A broker whose own clients always have requests waiting still serves those of other brokers. */
import { endFleets, fleet, type FleetStage, type FleetWorld } from '../../support/fleet-stage.js';

type Client = ReturnType<FleetStage['client']>;
type Worker = ReturnType<FleetStage['worker']>;

afterEach(endFleets);

/** A client that always has so many requests out, and how many were answered. */
class Load {
  answered = 0;
  readonly #broker: FleetStage;
  readonly #client: Client;

  constructor(broker: FleetStage, outstanding: number) {
    this.#broker = broker;
    this.#client = broker.client(`load of ${broker.name}`);
    this.#send(outstanding);
  }

  goesOn(): void {
    const { length } = this.#client.inbox();
    this.answered += length;
    this.#send(length);
  }

  #send(count: number): void {
    this.#broker.batch(() => {
      for (let n = 0; n < count; n++) this.#client.request('echo', this.#broker.name);
    });
  }
}

/** Each worker answers one request a round; packs take 1 ms. */
function runRounds(w: FleetWorld, workers: Worker[], loads: Load[], rounds: number): void {
  w.fate = () => [1];
  const open = workers.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    for (const [at, worker] of workers.entries()) {
      open[at] = (open[at] ?? 0) + worker.inbox().filter((line) => line !== 'HEARTBEAT').length;
      if ((open[at] ?? 0) === 0) continue;
      open[at] = (open[at] ?? 0) - 1;
      worker.final('done');
    }
    w.after(5);
    for (const load of loads) load.goesOn();
    w.after(5);
  }
}

function answeredBy(loads: Load[]): number[] {
  const all = loads.reduce((sum, { answered }) => sum + answered, 0);
  return loads.map(({ answered }) => answered / all);
}

function workersAt(broker: FleetStage, count: number, credit: number): Worker[] {
  return Array.from({ length: count }, (_, n) =>
    broker.worker(`w${n} of ${broker.name}`).ready('echo', { credit }).heartbeatsEvery(1000),
  );
}

describe('a broker that has all workers, and whose own clients have more requests than they take', () => {
  it.each([
    [1, 1],
    [6, 1],
    [2, 10],
  ])('gives each broker an equal share of %i workers with credit %i', (count, credit) => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    const workers = workersAt(a, count, credit);
    const loads = [a, b, c].map((broker) => new Load(broker, 60));
    runRounds(w, workers, loads, 300);
    for (const share of answeredBy(loads)) expect(share).toBeGreaterThan(0.2);
  });

  it('serves a broker that begins later, and has the workers alone again when it has ended', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const workers = workersAt(a, 4, 1);
    const own = new Load(a, 60);
    runRounds(w, workers, [own], 50);
    expect(own.answered).toBeGreaterThan(190);
    const late = new Load(b, 1);
    runRounds(w, workers, [own, late], 100);
    expect(late.answered).toBeGreaterThan(20);
    expect(a.machine.load.held).toBeLessThanOrEqual(1);
  });

  it('takes no more of another broker than its share, and the rest waits there', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const workers = workersAt(a, 10, 1);
    const loads = [new Load(a, 60), new Load(b, 60)];
    runRounds(w, workers, loads, 50);
    expect(a.machine.load.held).toBe(10);
    expect(b.broker.remote.waiting(Buffer.from('echo'))).toBe(50);
  });
});

describe('brokers that have workers of their own', () => {
  it('do not swap requests while both have more than they take', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const workers = [...workersAt(a, 4, 1), ...workersAt(b, 4, 1)];
    const loads = [new Load(a, 60), new Load(b, 60)];
    runRounds(w, workers, loads, 100);
    const { out } = a.machine.counters.bridged;
    expect(out + b.machine.counters.bridged.out).toBeLessThan(10);
  });

  it('get some from one that has more', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const workers = [...workersAt(a, 9, 1), ...workersAt(b, 1, 1)];
    const loads = [new Load(a, 60), new Load(b, 60)];
    runRounds(w, workers, loads, 200);
    for (const share of answeredBy(loads)) expect(share).toBeGreaterThan(0.3);
  });
});

describe('a request that waits at a holder', () => {
  it('comes back when its deadline is over, and its client hears so', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const own = a.client('own');
    for (let n = 0; n < 5; n++) own.request('echo', `own ${n}`);
    const client = b.client('c').hello('{"failures":true}');
    client.requestWithHeaders('echo', 500, '', 'late');
    w.after(400);
    expect(a.machine.load.held).toBe(1);
    w.after(1000);
    worker.final('own 0').final('own 1').final('own 2');
    expect(worker.inbox().filter((line) => line.includes('late'))).toEqual([]);
    expect(a.machine.load.held).toBe(0);
  });
});
