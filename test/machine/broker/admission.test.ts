import type { AdmissionState } from '../../../src/broker/options.js';
import type { BrokerHost, InternalRequest, InternalService } from '../../../src/broker/ports.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { endStages, stage, type Stage, type StageOptions } from '../../support/stage.js';
import { StageInternalClient, SUBMITTERS } from '../../support/stage-internal-client.js';
import { rules } from '../../support/rights.js';

afterEach(endStages);

/** Answers only when it is told to, in whatever order. */
class Slow implements InternalService {
  readonly prefix = Buffer.from('titanic.');
  #asked: { readonly id: number; readonly text: string; readonly host: BrokerHost }[] = [];

  offers(): boolean {
    return true;
  }

  onlyAsks(service: Buffer): boolean {
    return service.toString() === 'titanic.wait';
  }

  request({ id, service, frames, body }: InternalRequest, host: BrokerHost): void {
    const text = `${service.toString()} ${frames.copyFrom(body).join('|')}`;
    this.#asked.push({ id, text, host });
  }

  asked(): string[] {
    return this.#asked.map(({ text }) => text);
  }

  answers(): void {
    for (const { id, host } of this.#asked.splice(0)) host.answer(id, [Buffer.from('200')]);
  }
}

function gateIs(s: Stage, state: AdmissionState): void {
  s.input((broker, now) => broker.setAdmission(state, now));
}

function refusing(options: StageOptions = {}): Stage {
  const s = stage(options);
  gateIs(s, 'refusing');
  return s;
}

function voting(options: StageOptions = {}): Stage {
  const s = stage(options);
  gateIs(s, 'voting');
  return s;
}

const REFUSED = /^(FINAL|REPLY) mmi\.refused 503\|echo\|this node is not active$/;

describe('a node that does not serve', () => {
  it('is silent to clients, and counts what it refused (§6, D9)', () => {
    const s = refusing();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], []]);
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 1,
      requestsRefused: { not_active: 1, draining: 0 },
    });
    expect(s.events('request.refused')).toEqual([
      {
        name: 'request.refused',
        service: 'echo',
        reason: 'not_active',
        text: 'this node is not active',
        key: null,
        address: '127.0.0.1',
      },
    ]);
  });

  it.each([1, 2] as const)('tells 503 to who said mmi.hello (0.%i, §6, D11)', (version) => {
    const s = refusing();
    const c1 = s
      .client('c1', { version, envelope: ['id7'] })
      .hello()
      .request('echo', 'hi');
    expect(c1.inbox()).toEqual([expect.stringMatching(REFUSED)]);
  });

  it('refuses requests of its own services, too, and does not ask them (§6)', () => {
    const slow = new Slow();
    const s = refusing({ hosts: [slow] });
    const c1 = s.client('c1').hello().request('titanic.request', 'echo', 'hi');
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|titanic.request|this node is not active']);
    expect(slow.asked()).toEqual([]);
  });

  it('answers mmi.* always (§4)', () => {
    const s = refusing();
    s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('mmi.service', 'echo').request('mmi.nothing', '');
    expect(c1.inbox()).toEqual(['FINAL mmi.service 200', 'FINAL mmi.nothing 501']);
  });

  it('serves workers: READY, heartbeats both ways, expiry, DISCONNECT (§6)', () => {
    const s = refusing();
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(1000);
    const w2 = s.worker('w2').ready('echo');
    s.after(10_000);
    expect([w1.heartbeats(), w1.inbox(), w2.inbox()]).toEqual([10, [], []]);
    expect(s.broker.load.workers).toBe(1);
    expect(s.broker.counters.workersLost.expired).toBe(1);
    w1.saysDisconnect();
    expect(s.broker.load).toMatchObject({ workers: 0, services: 0 });
  });

  it('takes no stored requests from the internal client, which learns when it may go on', () => {
    const s = refusing();
    const internal = new StageInternalClient(s);
    const w1 = s.worker('w1').ready('echo');
    internal.heard();
    expect(s.broker.storedDeliveries.room(Buffer.from('echo'))).toBe(0);
    expect(internal.submits(1)).toBe(false);
    gateIs(s, 'serving');
    expect(internal.heard()).toEqual(['room at echo']);
    expect(internal.submits(1)).toBe(true);
    expect(w1.inbox()).toEqual(['REQUEST s1']);
    w1.final('done');
  });

  it('while draining refuses for that reason, and asks for no vote', () => {
    const s = voting();
    s.input((broker, now) => broker.drain(now));
    s.client('c1').request('echo', 'hi');
    expect(s.votes).toBe(0);
    expect(s.broker.counters.requestsRefused).toMatchObject({ draining: 1, not_active: 0 });
  });
});

describe('the vote (§6)', () => {
  it('is every well-formed request for a service, also an internal one', () => {
    for (const service of ['echo', 'titanic.close']) {
      const s = voting({ hosts: [new Slow()] });
      s.client('c1').request(service, 'hi');
      expect(s.votes).toBe(1);
      gateIs(s, 'refusing');
    }
  });

  it('is not mmi.*, a worker, what is malformed, or a client where none may be', () => {
    const s = voting({ listeners: [rules(true, true), rules(false, true)] });
    s.client('c1').request('mmi.service', 'echo').request('mmi.hello', '');
    s.worker('w1').ready('echo').heartbeat().saysDisconnect();
    s.connection('odd').sends('MDPC02', '\x01', 'echo');
    s.connection('odd2').sends('', 'MDPC01', '', 'hi');
    s.client('c2', { listener: 1 }).request('echo', 'hi');
    expect(s.votes).toBe(0);
    expect(s.broker.counters.requestsRefused).toMatchObject({ rights: 1, not_active: 0 });
  });

  it('is asked for once, and the request is held with all that follow', () => {
    const s = voting({ hosts: [new Slow()] });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello();
    c1.request('echo', '1').request('titanic.close', 'x').request('echo', '2');
    expect([s.votes, s.broker.admission]).toEqual([1, 'voting']);
    expect([w1.inbox(), c1.inbox()]).toEqual([[], []]);
    expect(s.broker.load.requests).toBe(0);
    gateIs(s, 'refusing');
  });

  it('that counts lets what is held in, in order', () => {
    const slow = new Slow();
    const s = voting({ hosts: [slow] });
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').hello().request('echo', '1').request('titanic.close', 'x');
    const c2 = s.client('c2').request('titanic.close', 'y').request('echo', '2');
    // Until the decision is on disk, requests for workers wait in their queues.
    gateIs(s, 'holding');
    expect([w1.inbox(), slow.asked(), s.broker.load.requests]).toEqual([[], [], 2]);
    c1.request('echo', '3').request('titanic.close', 'z');
    gateIs(s, 'serving');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    expect(slow.asked()).toEqual(['titanic.close x', 'titanic.close y', 'titanic.close z']);
    w1.final('one').final('two').final('three');
    slow.answers();
    expect(s.votes).toBe(1);
    expect(c1.inbox()).toContain('FINAL echo one');
    expect(c2.inbox()).toContain('FINAL echo two');
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 3,
      requestsRefused: { not_active: 0 },
    });
  });

  it('may be answered by serving at once', () => {
    const s = voting();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    gateIs(s, 'serving');
    expect([s.broker.admission, w1.inbox()]).toEqual(['serving', ['REQUEST hi']]);
    w1.final('HI');
  });

  it('is void if the peer is back in the same turn: what is held is refused, in order', () => {
    const slow = new Slow();
    const s = voting({ hosts: [slow] });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello();
    s.batch(() => {
      c1.request('echo', '1').request('titanic.close', 'x');
      gateIs(s, 'refusing');
    });
    expect(c1.inbox()).toEqual([
      expect.stringMatching(REFUSED),
      expect.stringMatching(/^FINAL mmi\.refused 503\|titanic\.close\|/),
    ]);
    expect([w1.inbox(), slow.asked()]).toEqual([[], []]);
    // As if it had been refused at once.
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 1,
      requestsRefused: { not_active: 1 },
    });
    c1.request('echo', '2');
    expect(s.votes).toBe(1);
  });

  it('is asked for again if the peer is lost again', () => {
    const s = voting();
    s.client('c1').request('echo', '1');
    gateIs(s, 'refusing');
    gateIs(s, 'voting');
    expect(s.votes).toBe(1);
    s.client('c2').request('echo', '2');
    expect(s.votes).toBe(2);
    gateIs(s, 'refusing');
  });

  it('costs no second unit of the quota requestsPerSecond (D75)', () => {
    const s = voting({ quotasOf: () => ({ ...NO_QUOTAS, requestsPerSecond: 2 }) });
    const w1 = s.worker('w1').ready('echo', { credit: 5 });
    s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    gateIs(s, 'holding');
    gateIs(s, 'serving');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    expect(s.broker.counters.requestsRefused.quota).toBe(1);
    w1.final('one').final('two');
  });

  it('does not let more in than is held, and the first whatever its size', () => {
    const s = voting();
    const large = Buffer.alloc(33 * 1024 * 1024);
    const c1 = s.client('c1').hello();
    for (const body of [large, large, Buffer.from('small')]) c1.request('echo', body);
    expect([s.votes, c1.inbox()]).toEqual([1, [expect.stringMatching(REFUSED)]]);
    gateIs(s, 'serving');
    expect(s.broker.load.requests).toBe(2);
  });

  it('leaves nothing behind of a client that leaves', () => {
    const s = voting();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'gone').disconnect();
    gateIs(s, 'serving');
    expect([s.votes, w1.inbox()]).toEqual([1, []]);
  });

  it('what lost workers give back is refused meanwhile (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1');
    gateIs(s, 'voting');
    w1.disconnect();
    expect(c1.inbox()).toEqual([expect.stringMatching(REFUSED)]);
    expect(s.votes).toBe(0);
  });
});

describe('while requests are held', () => {
  function holding(options: StageOptions = {}): Stage {
    const s = stage(options);
    gateIs(s, 'holding');
    return s;
  }

  it('those of internal services reach them when the node serves, in order', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    const c1 = s.client('c1', { envelope: ['id7'] });
    c1.request('titanic.request', 'echo', '1').request('titanic.wait', 'x', '5');
    expect(slow.asked()).toEqual([]);
    gateIs(s, 'serving');
    expect(slow.asked()).toEqual(['titanic.request echo|1', 'titanic.wait x|5']);
    slow.answers();
    expect(c1.inbox()).toEqual(['FINAL titanic.request 200', 'FINAL titanic.wait 200']);
  });

  it('all are refused when the node does not serve after all', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1').request('titanic.close', 'x');
    gateIs(s, 'refusing');
    expect(c1.inbox()).toEqual([
      expect.stringMatching(/^FINAL mmi\.refused 503\|titanic\.close\|/),
      expect.stringMatching(REFUSED),
    ]);
    expect(s.events('request.refused')).toHaveLength(2);
    expect(s.broker.counters.requestsRefused.not_active).toBe(1);
    expect(slow.asked()).toEqual([]);
  });

  it('a client that leaves takes its own along, one that may return keeps them (D26)', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    const w1 = s.worker('w1').ready('echo', { credit: 5 });
    s.client('c1').request('echo', 'gone').request('titanic.close', 'gone').disconnect();
    const c2 = s.client('c2', { routingId: 'alice' }).request('echo', 'kept');
    c2.disconnect();
    gateIs(s, 'serving');
    expect(w1.inbox()).toEqual(['REQUEST kept']);
    expect(slow.asked()).toEqual([]);
    expect(s.broker.counters.requestsDropped).toBe(1);
    c2.connection.connect();
    w1.final('KEPT');
    expect(c2.inbox()).toEqual(['FINAL echo KEPT']);
  });

  it('another connection under the number of one that left is not taken for it', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    s.client('c1').request('titanic.close', 'x').disconnect();
    const c2 = s.client('c2');
    gateIs(s, 'serving');
    slow.answers();
    expect(c2.inbox()).toEqual([]);
  });

  it('more than the limits is refused, with the reason that they always have', () => {
    const s = holding({ limits: { queuedRequests: 2 } });
    const c1 = s.client('c1').hello();
    for (const body of ['1', '2', '3']) c1.request('echo', body);
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 429\|echo\|/)]);
    gateIs(s, 'serving');
  });

  it('at most 10,000 wait for internal services, and 64 MiB but for a single one', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    const c1 = s.client('c1');
    const c2 = s.client('c2', { address: '10.0.0.2' });
    for (let at = 0; at < 10_001; at++) (at % 2 ? c1 : c2).request('titanic.close', String(at));
    expect(s.events('request.refused')).toHaveLength(1);
    gateIs(s, 'serving');
    expect(slow.asked()).toHaveLength(10_000);
    slow.answers();
    gateIs(s, 'holding');
    const large = Buffer.alloc(33 * 1024 * 1024);
    for (let at = 0; at < 2; at++) c1.request('titanic.request', 'echo', large, large);
    expect(s.events('request.refused')).toHaveLength(1);
    gateIs(s, 'serving');
    expect(slow.asked()).toHaveLength(1);
    slow.answers();
  });

  it('and one identity leaves the last eighth to others (D75)', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    const c1 = s.client('c1');
    for (let at = 0; at < 8760; at++) c1.request('titanic.close', String(at));
    expect(s.events('request.refused')).toHaveLength(10);
    s.client('c2', { address: '10.0.0.2' }).request('titanic.close', 'x');
    gateIs(s, 'serving');
    expect(slow.asked()).toHaveLength(8751);
    slow.answers();
  });

  it('replies come through, and the request of a lost worker waits with the others (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('echo', '2');
    gateIs(s, 'holding');
    w1.final('one');
    w2.disconnect();
    expect([c1.inbox(), w1.inbox()]).toEqual([['FINAL echo one'], ['REQUEST 1']]);
    gateIs(s, 'serving');
    expect(w1.inbox()).toEqual(['REQUEST 2']);
    w1.final('two');
  });

  it('they expire as always (D9)', () => {
    const s = holding({ requestTtlMs: 10_000 });
    s.worker('w1').ready('echo').heartbeatsEvery(1000);
    const c1 = s.client('c1').hello().request('echo', '1');
    s.after(10_000);
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 408\|/)]);
  });

  it('draining refuses them', () => {
    const slow = new Slow();
    const s = holding({ hosts: [slow] });
    s.client('c1').request('echo', '1').request('titanic.close', 'x');
    s.input((broker, now) => broker.drain(now));
    expect(s.events('request.refused')).toHaveLength(2);
    expect(s.broker.counters.requestsRefused).toMatchObject({ draining: 1, not_active: 0 });
    gateIs(s, 'serving');
    expect(slow.asked()).toEqual([]);
  });
});

describe('when the node stops serving', () => {
  it('what waits for a worker is refused, what is at one is answered (§6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello();
    const c2 = s.client('c2');
    c1.request('echo', 'out');
    c2.request('echo', 'waits');
    c1.request('echo', 'waits, too');
    gateIs(s, 'refusing');
    expect([c1.inbox(), c2.inbox()]).toEqual([[expect.stringMatching(REFUSED)], []]);
    expect(s.broker.counters.requestsRefused.not_active).toBe(2);
    w1.partial('a').final('b');
    expect(c1.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo b']);
    expect(w1.inbox()).toEqual(['REQUEST out']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0, requestsOut: 0 });
  });

  it('the request of a worker that is lost then is refused (D6)', () => {
    const s = stage();
    s.worker('w2').ready('other');
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    gateIs(s, 'refusing');
    w1.returns('cannot');
    w1.disconnect();
    expect(c1.inbox()).toEqual([expect.stringMatching(REFUSED), expect.stringMatching(REFUSED)]);
    expect(s.broker.counters.requestsRequeued).toBe(0);
  });

  it('a late reply of a worker lost in silence still finds a request that is out (D8)', () => {
    const s = stage({ busyTimeoutMs: 5000 });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(5000);
    expect(s.broker.load.workers).toBe(0);
    const w2 = s.worker('w2').ready('echo');
    gateIs(s, 'refusing');
    w1.reconnects().final('late');
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    w2.final('second');
    expect(c1.inbox()).toEqual([]);
  });

  it('and serves again, what came back from a worker meanwhile waits and expires as ever (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    const c1 = s.client('c1').hello().request('echo', 'out');
    gateIs(s, 'refusing');
    gateIs(s, 'serving');
    w1.fallsSilent().disconnect();
    s.after(9999);
    expect(c1.inbox()).toEqual([]);
    s.after(1);
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 408\|/)]);
  });

  it('20,000 waiting requests are refused over many turns, each within its budget', () => {
    const s = stage();
    const c1 = s.client('c1');
    s.batch(() => {
      for (let at = 0; at < 20_000; at++) c1.request('echo', 'x');
    });
    s.unrun(() => gateIs(s, 'refusing'));
    for (let more = true; more;) {
      const run = s.runOnce();
      expect(run.effects).toBeLessThanOrEqual(2048);
      more = run.more;
    }
    expect(s.broker.counters.requestsRefused.not_active).toBe(20_000);
    expect(s.broker.load).toMatchObject({ requests: 0, services: 0, bytes: 0 });
  });

  it('internal services go on answering until they are told to stop (switchover, §6)', () => {
    const slow = new Slow();
    const s = stage({ hosts: [slow] });
    const c1 = s.client('c1').request('titanic.request', 'echo', 'hi');
    gateIs(s, 'refusing');
    slow.answers();
    expect(c1.inbox()).toEqual(['FINAL titanic.request 200']);
  });

  it('then what they had not answered gets no answer, mere questions a 503 (§6, D11)', () => {
    const slow = new Slow();
    const s = stage({ hosts: [slow] });
    const c1 = s.client('c1').hello();
    const c2 = s.client('c2');
    for (const each of [c1, c2]) {
      each.request('titanic.request', 'echo', 'hi').request('titanic.wait', 'x', '5');
    }
    s.client('c3').request('titanic.request', 'echo', 'left').disconnect();
    s.input((broker, now) => {
      broker.setAdmission('refusing', now);
      broker.internalRequests.endAll();
    });
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 503|titanic.wait|this node is not active']);
    expect(c2.inbox()).toEqual([]);
    expect(s.broker.load.bytes).toBe(0);
  });

  it('and an answer that they give later is nobody else’s', () => {
    const slow = new Slow();
    const s = stage({ hosts: [slow] });
    s.client('c1').request('titanic.request', 'echo', 'hi');
    s.input((broker) => broker.internalRequests.endAll());
    const c2 = s.client('c2').request('echo', 'takes the record');
    const c3 = s.client('c3');
    slow.answers();
    c3.request('titanic.request', 'echo', 'now');
    expect([c2.inbox(), c3.inbox()]).toEqual([[], []]);
    slow.answers();
    expect(c3.inbox()).toEqual(['FINAL titanic.request 200']);
  });

  it.each(SUBMITTERS)(
    '%s requests that wait are handed out no more, but if it serves again',
    (from) => {
      const s = stage();
      const internal = new StageInternalClient(s, from);
      const w1 = s.worker('w1').ready('echo');
      internal.submits(1);
      internal.submits(2);
      gateIs(s, 'refusing');
      w1.final('one');
      expect(w1.inbox()).toEqual(['REQUEST s1']);
      gateIs(s, 'serving');
      expect(w1.inbox()).toEqual(['REQUEST s2']);
      w1.final('two');
      expect(internal.heard()).toContain('2 replied two');
    },
  );
});
