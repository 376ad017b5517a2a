/** Limits of groups hold for durable requests, too: what may not start is not read (D118). */
import type { RunLimit } from '../../../src/broker/options.js';
import type { ShownHistory } from '../../../src/titanic/operator/operator-api.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';
import { got, send } from '../../support/groups.js';
import type { WorkerActor } from '../../support/stage-peers.js';

afterEach(endTitanicStages);

const NONE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };

function limit(s: TitanicStage, group: Partial<RunLimit> | null, holds = false): void {
  const full = group === null ? null : { ...NONE, ...group };
  s.input((broker) => broker.setServiceLimits(() => ({ service: null, group: full, holds })));
  s.turn();
}

function limited(group: Partial<RunLimit>, holds = false): TitanicStage {
  const s = titanicStage();
  limit(s, group, holds);
  return s;
}

const worker = (s: TitanicStage, credit = 10): WorkerActor =>
  s.worker('w').ready('echo', { credit }).heartbeatsEvery(1000);

/** Submits each body as a request of the group of its first letter; `-`: of none. */
function submit(s: TitanicStage, bodies: string, options: object = {}): string[] {
  return bodies.split(' ').map((body) => {
    const group = body.startsWith('-') ? {} : { group: body[0] };
    return s.submits('echo', body, { ...group, ...options });
  });
}

describe('limits of groups', () => {
  it('have the requests of a group run one after the other, in the order of acceptance', () => {
    const s = limited({ running: 1 });
    submit(s, 'a1 a2 a3 b1 b2 -1 -2');
    const w = worker(s);
    const order: string[] = [];
    for (let text = got(w); text !== ''; text = got(w)) {
      order.push(text);
      for (const _ of text.split(' ')) w.final('ok');
    }
    expect(order).toEqual(['a1 b1 -1 -2', 'a2 b2', 'a3']);
  });

  it('do not let one full group take the places of all', () => {
    const s = titanicStage({ titanic: { maxInFlight: 3 } });
    limit(s, { running: 1 });
    const w = worker(s);
    const other = s.worker('other').ready('other', { credit: 3 });
    submit(s, 'a1 a2 a3 a4 a5 a6');
    for (const body of ['x', 'y']) s.submits('other', body);
    expect(got(w)).toBe('a1');
    expect(got(other)).toBe('x y');
  });

  it('hold for plain and durable requests together', () => {
    const s = limited({ running: 2 });
    const w = worker(s);
    const c = s.client('c');
    submit(s, 'a1');
    send(c, 'a_p1 a_p2');
    s.turn();
    submit(s, 'a2 a3');
    expect(got(w)).toBe('a1 a_p1');
    const later: string[] = [];
    for (let n = 0; n < 5; n++) {
      w.final('ok');
      later.push(got(w));
    }
    expect(later.filter((each) => each !== '').sort()).toEqual(['a2', 'a3', 'a_p2']);
  });

  it('let a durable request have its turn, however many plain ones of its group come', () => {
    const s = limited({ running: 1 });
    const w = worker(s, 1);
    const c = s.client('c');
    let sent = 0;
    const plain = (): void => {
      send(c, `a_p${++sent}`);
      s.turn();
    };
    for (let n = 0; n < 3; n++) plain();
    submit(s, 'a1');
    const order: string[] = [];
    for (let n = 0; n < 8; n++) {
      order.push(got(w));
      plain();
      w.final('ok');
    }
    expect(order).toContain('a1');
  });

  it('keep no worker from other groups with what is prepared of a group that may not start any more', () => {
    const s = limited({ perSecond: 1 });
    s.after(1000);
    const w = worker(s, 1);
    const c = s.client('c');
    submit(s, '-1');
    send(c, 'a_p');
    s.turn();
    submit(s, 'a1');
    expect(got(w)).toBe('-1');
    w.final('ok');
    expect(got(w)).toBe('a_p');
    submit(s, 'b1');
    w.final('ok');
    expect(got(w)).toBe('b1');
    w.final('ok');
    s.after(1000);
    expect(got(w)).toBe('a1');
  });

  it('let so many start per second', () => {
    const s = limited({ perSecond: 10, burst: 2 });
    const w = worker(s);
    submit(s, 'a1 a2 a3 a4');
    expect(got(w)).toBe('a1 a2');
    s.after(99);
    expect(got(w)).toBe('');
    s.after(1);
    expect(got(w)).toBe('a3');
    s.after(100);
    expect(got(w)).toBe('a4');
  });

  it('hold from the moment on at which they are set, and no longer than they are', () => {
    const s = titanicStage();
    const w = worker(s);
    submit(s, 'a1 a2');
    expect(got(w)).toBe('a1 a2');
    limit(s, { running: 2 });
    submit(s, 'a3 a4 a5');
    expect(got(w)).toBe('');
    limit(s, { running: 3 });
    expect(got(w)).toBe('a3');
    limit(s, null);
    expect(got(w)).toBe('a4 a5');
  });

  it('hold after a restart, once the workers had time to come back', () => {
    const s = limited({ running: 1 });
    submit(s, 'a1 a2');
    const again = s.crashes();
    again.input((broker) => broker.begin(again.now));
    limit(again, { running: 1 });
    const w = worker(again);
    again.after(2999);
    expect(got(w)).toBe('');
    again.after(1);
    expect(got(w)).toBe('a1');
  });
});

describe('a request that waits for its next attempt', () => {
  it.each([
    [false, 'a2'],
    [true, ''],
  ])('holds its group if that is wanted (%p)', (holds, next) => {
    const s = limited({ running: 1 }, holds);
    submit(s, 'a1 a2 b1');
    const w = worker(s);
    expect(got(w)).toBe('a1 b1');
    w.fails(['retry', 'code', 'text'], { of: 'a1' });
    s.after(100);
    expect(got(w)).toBe(next);
    if (!holds) w.final('ok', { of: 'a2' });
    s.after(4000);
    expect(got(w)).toBe('a1');
    w.final('ok', { of: 'a1' });
    expect(got(w)).toBe(holds ? 'a2' : '');
  });

  it('holds its group no more once it is dead, or closed', () => {
    const s = limited({ running: 1 }, true);
    const [first = ''] = submit(s, 'a1', { maxAttempts: 2 });
    submit(s, 'b1', { maxAttempts: 2 });
    submit(s, 'a2 b2');
    const w = worker(s);
    expect(got(w)).toBe('a1 b1');
    w.fails(['retry', 'code', 'text'], { of: 'a1' }).fails(['retry', 'code', 'text'], { of: 'b1' });
    expect(got(w)).toBe('');
    s.asks('close', first);
    expect(got(w)).toBe('a2');
    s.after(4000);
    expect(got(w)).toBe('b1');
    w.fails(['retry', 'code', 'text'], { of: 'b1' });
    expect(got(w)).toBe('b2');
  });

  it('holds its group after a restart', () => {
    const s = limited({ running: 1 }, true);
    submit(s, 'a1 a2');
    const w = worker(s);
    w.fails(['retry', 'code', 'text'], { of: 'a1' });
    const again = s.crashes();
    limit(again, { running: 1 }, true);
    const other = worker(again);
    expect(got(other)).toBe('');
    again.after(8000);
    expect(got(other)).toBe('a1');
  });

  it('holds nobody while it is only delayed', () => {
    const s = limited({ running: 1 }, true);
    submit(s, 'a1', { delayMs: 5000 });
    submit(s, 'a2');
    expect(got(worker(s))).toBe('a2');
  });

  it('does not hold its group any more when that is not wanted any more', () => {
    const s = limited({ running: 1 }, true);
    submit(s, 'a1 a2');
    const w = worker(s);
    expect(got(w)).toBe('a1');
    w.fails(['retry', 'code', 'text'], { of: 'a1' });
    limit(s, { running: 1 });
    expect(got(w)).toBe('a2');
  });
});

describe('why a request waits', () => {
  const why = (s: TitanicStage, uuid: string): unknown => {
    const found = s.operates<ShownHistory>((operator, answer) => {
      operator.history(Buffer.from(uuid, 'hex'), answer);
    })();
    return found?.kind === 'done' ? found.value.waiting : found;
  };

  it('is said with the limit, or with the request that holds its group', () => {
    const s = limited({ running: 1 }, true);
    const [first = '', second = ''] = submit(s, 'a1 a2');
    const w = worker(s);
    expect(why(s, second)).toMatchObject({ reason: 'limit', text: 'group a: 1 of 1 run' });
    w.fails(['retry', 'code', 'text'], { of: 'a1' });
    const text = `its group waits for the next attempt of ${first}`;
    expect(why(s, second)).toMatchObject({ reason: 'group', text });
  });
});
