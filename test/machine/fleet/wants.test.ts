import {
  FIRST_WANTS_AT_ONCE,
  LATER_WANTS_AT_ONCE,
  LATER_WANTS_PER_SECOND,
} from '../../../src/extensions/fleet/machine/options.js';
import { endFleets, fleet, type FleetStage, type FleetWorld } from '../../support/fleet-stage.js';

afterEach(endFleets);

const NAMES = 5000;

function world(): { w: FleetWorld; a: FleetStage; b: FleetStage; wants: () => number } {
  const w = fleet({ limits: { services: 2 * NAMES } });
  const [a, b] = [w.broker('a'), w.broker('b')];
  let count = 0;
  const { publish } = w;
  w.publish = (from, subject, bytes, unheard) => {
    if (subject.includes('.want.')) count++;
    publish.call(w, from, subject, bytes, unheard);
  };
  // Since the last call.
  const wants = (): number => {
    const since = count;
    count = 0;
    return since;
  };
  return { w, a, b, wants };
}

function floods(stage: FleetStage): void {
  const flood = stage.client('flood');
  for (let n = 0; n < NAMES; n++) flood.request(`none ${n}`, 'x');
}

describe('a client that asks for many services that nobody has', () => {
  it('causes a bounded number of WANTs a second, as long as its requests wait', () => {
    const { w, b, wants } = world();
    floods(b);
    const atOnce = wants();
    expect(atOnce).toBeGreaterThanOrEqual(FIRST_WANTS_AT_ONCE);
    expect(atOnce).toBeLessThanOrEqual(FIRST_WANTS_AT_ONCE + LATER_WANTS_AT_ONCE);
    for (let second = 0; second < 20; second++) {
      w.after(1000);
      const sent = wants();
      expect(sent).toBeLessThanOrEqual(LATER_WANTS_PER_SECOND * 1.2);
      expect(sent).toBeGreaterThanOrEqual(LATER_WANTS_PER_SECOND * 0.8);
    }
  });

  it('does not delay the first WANT for another service', () => {
    const { w, a, b } = world();
    floods(b);
    for (const ms of [1, 10, 3000]) {
      w.after(ms);
      const service = `real ${ms}`;
      const worker = a.worker(service).ready(service).heartbeatsEvery(1000);
      b.client(`c${ms}`).request(service, 'hi');
      expect(worker.inbox()).toEqual(['REQUEST hi']);
    }
  });

  it('gets its WANTs repeated in the order in which they are due: a worker that comes is found', () => {
    const { w, a, b } = world();
    floods(b);
    w.after(1000);
    const worker = a
      .worker('w')
      .ready(`none ${NAMES - 1}`)
      .heartbeatsEvery(1000);
    w.after((NAMES / LATER_WANTS_PER_SECOND) * 1000 + 1000);
    expect(worker.inbox()).toEqual(['REQUEST x']);
  });

  it('is answered within 100 ms by mmi.service, and keeps no request from its worker', () => {
    const { w, a, b, wants } = world();
    const answers: boolean[] = [];
    b.gives((machine) => {
      for (let n = 0; n < NAMES; n++) {
        machine.ask(Buffer.from(`none ${n}`), (isServed) => answers.push(isServed));
      }
    });
    expect(wants()).toBeLessThanOrEqual(FIRST_WANTS_AT_ONCE + LATER_WANTS_AT_ONCE);
    // Among what the flood asks about, too.
    const worker = a.worker('w').ready('none 4999').heartbeatsEvery(1000);
    b.client('c').request('none 4999', 'hi');
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    w.after(150);
    expect(answers).toHaveLength(NAMES);
    // What nobody was asked about is not remembered as absent.
    const again: boolean[] = [];
    a.worker('v').ready('none 4998').heartbeatsEvery(1000);
    w.after(1000);
    b.gives((machine) => machine.ask(Buffer.from('none 4998'), (isServed) => again.push(isServed)));
    expect(again).toEqual([true]);
  });

  it('and does not want to wait is answered for each of them, with work for that one alone (D65)', () => {
    const { w, b } = world();
    let seeks = 0;
    b.gives((machine) => {
      const seek = machine.seek.bind(machine);
      machine.seek = (service) => {
        seeks++;
        return seek(service);
      };
    });
    const flood = b.client('flood').hello('{"noWorker":"refuse"}');
    for (let n = 0; n < NAMES; n++) flood.request(`none ${n}`, 'x');
    w.after((NAMES / LATER_WANTS_PER_SECOND) * 1000 + 1000);
    expect(flood.inbox()).toHaveLength(NAMES);
    // When it arrives, and when it is known.
    expect(seeks).toBeLessThanOrEqual(2 * NAMES);
  });

  it('after NATS was away, is asked for no faster', () => {
    const { w, b, wants } = world();
    floods(b);
    w.after(2000);
    w.goesDown();
    w.after(1000);
    wants();
    w.comesBack();
    w.after(1000);
    const most = FIRST_WANTS_AT_ONCE + LATER_WANTS_AT_ONCE + LATER_WANTS_PER_SECOND * 1.2;
    expect(wants()).toBeLessThanOrEqual(most);
  });
});
