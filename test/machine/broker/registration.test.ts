import type { InternalService } from '../../../src/broker/ports.js';
import { endStages, stage } from '../../support/stage.js';
import { rules } from '../../support/rights.js';

afterEach(endStages);

/** As Titanic is plugged in: it serves a namespace, and answers later. */
function titanic(): InternalService & { readonly ids: number[] } {
  const ids: number[] = [];
  return {
    ids,
    prefix: Buffer.from('titanic.'),
    offers: (service) => service.toString() === 'titanic.request',
    request: (request) => {
      ids.push(request.id);
    },
  };
}

describe('READY', () => {
  it.each([1, 2] as const)('registers a worker for its service (0.%i)', (version) => {
    const s = stage();
    s.worker('w1', { version }).ready('echo');
    expect(s.broker.load).toMatchObject({ workers: 1, services: 1 });
    expect(s.events('worker.registered')).toEqual([
      {
        name: 'worker.registered',
        service: 'echo',
        worker: 1,
        workerName: null,
        credit: 1,
        key: null,
      },
    ]);
  });

  it('says what the worker calls itself, which is told escaped when it comes and goes (D67)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { name: 'vm-3:17 <b>\x1b[31m\n%é' });
    const workerName = 'vm-3:17 <b>%1B[31m%0A%25%C3%A9';
    expect(s.events('worker.registered')).toMatchObject([{ worker: 1, workerName }]);
    w1.saysDisconnect();
    expect(s.events('worker.lost')).toMatchObject([{ worker: 1, workerName }]);
    // The next registration says it anew, or not.
    w1.ready('echo');
    expect(s.events('worker.registered')).toMatchObject([{ worker: 2, workerName: null }]);
  });

  it('with a long name registers, its name cut after 64 characters (D67)', () => {
    const s = stage();
    s.worker('w1').ready('echo', { name: `${'n'.repeat(63)}éé` });
    const workerName = `${'n'.repeat(63)}%C3%A9`;
    expect(s.events('worker.registered')).toMatchObject([{ workerName }]);
  });

  it.each([1, 2] as const)('with options declares its credit, so it may RETURN (0.%i)', (v) => {
    const s = stage({ maxDeliveries: 3 });
    const w1 = s.worker('w1', { version: v }).ready('echo', { name: 'w1' });
    s.client('c1').request('echo', 'hi');
    w1.returns('not me');
    expect(w1.inbox()).toEqual(['REQUEST hi', 'REQUEST hi']);
    expect(s.broker.load.workers).toBe(1);
  });

  it('is answered by the requests that wait, at once (7/MDP, 18/MDP)', () => {
    const s = stage();
    s.client('c1').request('echo', 'hi');
    expect(s.worker('w1').ready('echo').inbox()).toEqual(['REQUEST hi']);
  });

  it('a second time is unexpected: DISCONNECT, and the worker is forgotten (18/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    expect(s.broker.counters).toMatchObject({ unexpected: 1, workersLost: { protocol: 1 } });
    expect(s.broker.load.workers).toBe(1);
  });

  it('after DISCONNECT on the same connection registers anew, also for another service', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo').saysDisconnect().ready('other');
    s.client('c1').request('echo', '1').request('other', '2');
    expect(w1.inbox()).toEqual(['REQUEST 2']);
  });

  it('from a connection that is a client, too, serves both roles (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { over: w1.connection }).request('echo', 'to myself');
    expect(w1.inbox()).toEqual(['REQUEST to myself']);
    w1.final('from myself');
    expect(c1.inbox()).toEqual(['FINAL echo from myself']);
  });
});

describe('a worker that may not register', () => {
  it.each(['mmi.service', 'mmi.', 'mmi.anything'])(
    'because %s is reserved is sent DISCONNECT (docs/protocol.md)',
    (name) => {
      const s = stage();
      expect(s.worker('w1').ready(name).inbox()).toEqual(['DISCONNECT']);
      expect(s.broker.counters.workersRefused.reserved).toBe(1);
      expect(s.events('worker.refused')).toEqual([
        {
          name: 'worker.refused',
          service: name,
          reason: 'reserved',
          text: 'its name is that of a broker service',
          key: null,
          address: '127.0.0.1',
        },
      ]);
    },
  );

  it('because Titanic is hosted here is sent DISCONNECT for titanic.* (D4)', () => {
    const s = stage({ hosts: [titanic()] });
    expect(s.worker('w1').ready('titanic.request').inbox()).toEqual(['DISCONNECT']);
    expect(s.worker('w2').ready('titanic.x').inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.workersRefused.reserved).toBe(2);
  });

  it('is not refused titanic.* where it is not hosted, nor names that only look reserved (D4)', () => {
    const s = stage();
    for (const name of ['titanic.request', 'mmi', 'MMI.service', 'xmmi.', 'mm']) {
      expect(s.worker(name).ready(name).inbox()).toEqual([]);
    }
    expect(s.broker.load.workers).toBe(5);
  });

  it('may register for another name afterwards (docs/protocol.md)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('mmi.x').ready('echo');
    s.client('c1').request('echo', 'hi');
    expect(w1.inbox()).toEqual(['DISCONNECT', 'REQUEST hi']);
  });

  it('because limits.workers is reached is sent DISCONNECT, until there is room', () => {
    const s = stage({ limits: { workers: 2 } });
    const w1 = s.worker('w1').ready('echo');
    s.worker('w2').ready('other');
    const w3 = s.worker('w3').ready('echo');
    expect(w3.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.workersRefused.limit).toBe(1);
    w1.saysDisconnect();
    expect(w3.ready('echo').inbox()).toEqual([]);
  });

  it('because limits.services is reached is sent DISCONNECT, but not for a known service', () => {
    const s = stage({ limits: { services: 1 } });
    s.worker('w1').ready('echo');
    expect(s.worker('w2').ready('other').inbox()).toEqual(['DISCONNECT']);
    expect(s.worker('w3').ready('echo').inbox()).toEqual([]);
    expect(s.broker.counters.workersRefused.limit).toBe(1);
  });

  it('because limits.services is reached is refused also for a name that requests wait for', () => {
    const s = stage({ limits: { services: 1 } });
    s.worker('w1').ready('echo');
    s.client('c1').request('waiting', 'hi');
    expect(s.worker('w2').ready('waiting').inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.load.requests).toBe(1);
  });

  it('because its listener is for clients is sent DISCONNECT', () => {
    const s = stage({ listeners: [rules(true, false)] });
    expect(s.worker('w1').ready('echo').inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.workersRefused.rights).toBe(1);
  });
});

describe('a listener', () => {
  it('for workers takes no requests: who said hello is told 403 (D72)', () => {
    const worker = rules(false, true);
    const s = stage({ listeners: [worker, rules(true, false)] });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().request('echo', 'hi');
    expect(c1.inbox()).toEqual([
      'FINAL mmi.refused 403|echo|no right to send requests to this service',
    ]);
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.requestsRefused.rights).toBe(1);
    const c2 = s.client('c2', { listener: 1 }).request('echo', 'hi');
    w1.final('HI');
    expect(c2.inbox()).toEqual(['FINAL echo HI']);
  });
});

describe('an internal service', () => {
  it('is handed the requests of its namespace, and answers when it can', () => {
    const hosted = titanic();
    const s = stage({ hosts: [hosted] });
    const c1 = s.client('c1', { envelope: ['id'] }).request('titanic.request', 'a');
    const c2 = s.client('c2', { version: 1 }).request('titanic.x', 'b');
    expect([hosted.ids.length, s.broker.load.requests]).toEqual([2, 0]);
    const [first = -1, second = -1] = hosted.ids;
    s.input((broker) => {
      broker.internalRequests.answer(second, [Buffer.from('501')]);
      broker.internalRequests.answer(first, [Buffer.from('200'), Buffer.from('uuid')]);
    });
    expect(c1.inbox()).toEqual(['FINAL titanic.request 200|uuid']);
    expect(c2.inbox()).toEqual(['REPLY titanic.x 501']);
  });

  it('may answer a client that is gone (ports.ts)', () => {
    const hosted = titanic();
    const s = stage({ hosts: [hosted] });
    s.client('c1').request('titanic.request', 'a').disconnect();
    s.client('c2', { routingId: 'alice' }).request('titanic.request', 'b').disconnect();
    s.input((broker) => {
      for (const id of hosted.ids) broker.internalRequests.answer(id, []);
    });
    expect(s.broker.load).toMatchObject({ clients: 0, bytes: 0 });
  });

  it('is asked no more than limits.queuedRequests at once; beyond it 429 (D11)', () => {
    const hosted = titanic();
    const s = stage({ hosts: [hosted], limits: { queuedRequests: 2 } });
    const c1 = s.client('c1').hello();
    for (const body of ['1', '2', '3']) c1.request('titanic.request', body);
    expect(hosted.ids).toHaveLength(2);
    expect(c1.inbox()).toEqual([
      expect.stringMatching(/^FINAL mmi\.refused 429\|titanic\.request/),
    ]);
    s.input((broker) => {
      for (const id of hosted.ids) broker.internalRequests.answer(id, [Buffer.from('200')]);
    });
  });
});
