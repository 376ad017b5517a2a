/** Whose a stored request is: what one key stored, another neither sees nor ends (D70, D71). */
import { NO_QUOTAS, type Quotas } from '../../../src/broker/quotas.js';
import { present } from '../../../src/core/assert.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Answers } from '../../../src/titanic/machine/requests/answers.js';
import type { LookUp } from '../../../src/titanic/machine/requests/lookups.js';
import { StoreWaits } from '../../../src/titanic/machine/requests/store-waits.js';
import type { Found } from '../../../src/store/store.js';
import { asker } from '../../support/asker.js';
import type { ClientActor } from '../../support/stage-peers.js';
import { StageReplica } from '../../support/stage-replica.js';
import { accept, uuidOf } from '../../support/store-changes.js';
import { packed } from '../../support/store-pair.js';
import { rules, TestKey } from '../../support/rights.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';
import { StageDisk } from '../../support/stage-store.js';

afterEach(endTitanicStages);

/** Asks, and what comes of it by then. */
function asks(client: ClientActor, service: string, ...body: string[]): string {
  client.request(`titanic.${service}`, ...body);
  return heard(client);
}

function heard(client: ClientActor): string {
  return client
    .inbox()
    .map((text) => text.replace(/^FINAL titanic\.[a-z]+ /, ''))
    .join(' / ');
}

function submits(client: ClientActor, options: object = {}): string {
  const [status, uuid = ''] = asks(client, 'submit', JSON.stringify(options), 'echo', 'x').split(
    '|',
  );
  expect(status).toBe('200');
  return uuid;
}

interface Scene {
  readonly s: TitanicStage;
  readonly alice: ClientActor;
  readonly bob: ClientActor;
  readonly nobody: ClientActor;
  readonly operator: ClientActor;
}

function scene(options: Parameters<typeof titanicStage>[0] = {}): Scene {
  const operator = new TestKey(true, true);
  operator.operator = true;
  const s = titanicStage({
    rightsOf: (_, name) => (name === 'op' ? operator : new TestKey(true, true)),
    ...options,
  });
  return {
    s,
    alice: s.client('alice', { key: 'alice' }),
    bob: s.client('bob', { key: 'bob' }),
    nobody: s.client('nobody'),
    operator: s.client('operator', { key: 'op' }),
  };
}

const UNKNOWN = '400 unknown';

describe('what a key stored (D71)', () => {
  it('is 400 for every other identity that asks, waits or closes, pending or replied', () => {
    const { s, alice, bob, nobody } = scene();
    const uuid = submits(alice);
    for (const stranger of [bob, nobody]) {
      expect(asks(stranger, 'reply', uuid)).toBe(UNKNOWN);
      expect(asks(stranger, 'wait', uuid, '60000')).toBe(UNKNOWN);
      expect(asks(stranger, 'close', uuid)).toBe(UNKNOWN);
    }
    expect(asks(alice, 'reply', uuid)).toBe('300');
    s.worker('w1').ready('echo').final('done');
    for (const stranger of [bob, nobody]) {
      expect(asks(stranger, 'reply', uuid)).toBe(UNKNOWN);
      expect(asks(stranger, 'wait', uuid, '60000')).toBe(UNKNOWN);
      expect(asks(stranger, 'close', uuid)).toBe(UNKNOWN);
    }
    expect(asks(alice, 'reply', uuid)).toBe('200|done');
    expect(asks(alice, 'close', uuid)).toBe('200');
    expect(asks(alice, 'reply', uuid)).toBe(UNKNOWN);
  });

  it('a strict close has the same answer for what is another’s, unknown, and closed', () => {
    const { s, alice, bob } = scene();
    const uuids = [submits(alice), '0'.repeat(32)];
    const own = submits(bob);
    expect(asks(bob, 'close', own, 'strict')).toBe('200');
    for (const uuid of [...uuids, own]) expect(asks(bob, 'close', uuid, 'strict')).toBe(UNKNOWN);
    s.worker('w1').ready('echo').final('done');
    for (const uuid of uuids) expect(asks(bob, 'close', uuid, 'strict')).toBe(UNKNOWN);
    expect(asks(alice, 'close', uuids[0] ?? '', 'strict')).toBe('200');
    expect(asks(alice, 'close', own, 'slack')).toBe('400 not the word strict');
  });

  it('reports who else asked for it, and from where', () => {
    const { s, alice, bob } = scene();
    const uuid = submits(alice);
    asks(bob, 'reply', uuid);
    s.worker('w1').ready('echo').final('done');
    asks(bob, 'wait', uuid, '1000');
    asks(bob, 'close', uuid);
    asks(bob, 'reply', '0'.repeat(32));
    const denied = { key: 'bob', address: '127.0.0.1', uuid: uuid.slice(0, 16) };
    expect(s.told('titanic.denied')).toMatchObject([
      { ...denied, wanted: 'reply' },
      { ...denied, wanted: 'reply' },
      { ...denied, wanted: 'close' },
    ]);
  });

  it('is its own again over another connection, and after a start', () => {
    const { s, alice } = scene();
    const uuid = submits(alice);
    const next = s.crashes({ rightsOf: () => new TestKey(true, true) });
    expect(asks(next.client('again', { key: 'alice' }), 'reply', uuid)).toBe('300');
    expect(asks(next.client('bob', { key: 'bob' }), 'reply', uuid)).toBe(UNKNOWN);
  });

  it('is open to all if it is shared, and to a key that is an operator', () => {
    const { alice, bob, nobody, operator } = scene();
    const shared = submits(alice, { shared: true });
    expect(asks(bob, 'reply', shared)).toBe('300');
    expect(asks(nobody, 'close', shared)).toBe('200');
    const own = submits(alice);
    expect(asks(operator, 'reply', own)).toBe('300');
    expect(asks(operator, 'close', own)).toBe('200');
    expect(asks(alice, 'reply', own)).toBe(UNKNOWN);
  });

  it('gives a stranger with a guessed key only a new request of their own (D70)', () => {
    const { alice, bob, nobody } = scene();
    const key = { key: 'order-17' };
    const uuids = [alice, bob, nobody].map((client) => submits(client, key));
    expect(new Set(uuids).size).toBe(3);
    expect([alice, bob, nobody].map((client) => submits(client, key))).toEqual(uuids);
  });
});

describe('a uuid that only the other node of a pair knows (D17, D71)', () => {
  const AWAY = 'AB'.repeat(16);

  it('is closed for who closed it, and for nobody else', () => {
    const { s, alice, bob, nobody } = scene({ replica: new StageReplica() });
    s.losesPeer();
    expect(asks(alice, 'wait', AWAY, '60000')).toBe('');
    expect(asks(bob, 'wait', AWAY, '60000')).toBe('');
    expect(asks(nobody, 'close', AWAY)).toBe('200');
    expect(asks(bob, 'close', AWAY)).toBe('400 unknown / 200');
    expect(heard(alice)).toBe('');
    expect(asks(alice, 'reply', AWAY)).toBe('300');
    expect(asks(bob, 'reply', AWAY)).toBe(UNKNOWN);
    expect(asks(alice, 'close', AWAY)).toBe('400 unknown / 200');
    expect(asks(alice, 'reply', AWAY)).toBe(UNKNOWN);
  });

  it('is closed for everybody by an operator', () => {
    const { s, alice, operator } = scene({ replica: new StageReplica() });
    s.losesPeer();
    expect(asks(alice, 'wait', AWAY, '60000')).toBe('');
    expect(asks(operator, 'close', AWAY)).toBe('200');
    expect(heard(alice)).toBe(UNKNOWN);
    expect(asks(alice, 'reply', AWAY)).toBe(UNKNOWN);
  });
});

describe('what was stored without a key', () => {
  it('is open to whoever has the uuid, as 9/TSP says', () => {
    const { s, alice, nobody } = scene();
    const uuid = submits(nobody);
    expect(asks(s.client('from elsewhere', { address: '10.0.0.9' }), 'reply', uuid)).toBe('300');
    expect(asks(alice, 'close', uuid)).toBe('200');
  });
});

describe('rights and quotas', () => {
  it('a request for a service without the right on it is refused, not stored (D72)', () => {
    const { s, alice } = scene({
      listeners: [rules(true, true)],
      rightsOf: () => new TestKey(['echo'], false),
    });
    alice.request('mmi.hello');
    alice.inbox();
    alice.request('titanic.request', 'secret', 'x');
    expect(heard(alice)).toMatch(/mmi\.refused 403\|titanic\.request/);
    alice.request('titanic.submit', '{}', 'secret', 'x');
    expect(heard(alice)).toMatch(/mmi\.refused 403/);
    expect(s.store.disk.counts.pending).toBe(0);
    expect(asks(alice, 'request', 'echo', 'x')).toMatch(/^200/);
  });

  const quotas = (some: Partial<Quotas>): Parameters<typeof titanicStage>[0] => ({
    quotasOf: () => ({ ...NO_QUOTAS, ...some }),
  });

  it('one identity stores so many, the others go on; what it closes makes room (D75)', () => {
    const { alice, bob } = scene(quotas({ stored: 2 }));
    const [first] = [submits(alice), submits(alice)];
    expect(asks(alice, 'request', 'echo', 'x')).toBe('500 the quota `stored` is used up');
    submits(bob);
    expect(asks(alice, 'close', first)).toBe('200');
    submits(alice);
    expect(asks(alice, 'request', 'echo', 'x')).toBe('500 the quota `stored` is used up');
  });

  it('all clients without a key are one owner, wherever they connect from (D75)', () => {
    const { s, alice, nobody } = scene(quotas({ stored: 2 }));
    const elsewhere = s.client('elsewhere', { address: '10.0.0.9' });
    submits(nobody);
    submits(elsewhere);
    for (const client of [nobody, elsewhere, s.client('third', { address: '10.0.0.10' })]) {
      expect(asks(client, 'request', 'echo', 'x')).toBe('500 the quota `stored` is used up');
    }
    submits(alice);
  });

  it('a quota of services does not count for clients without a key, which are one owner', () => {
    const s = titanicStage(quotas({ services: 2 }));
    const uuids = ['one', 'two', 'three', 'four'].map((service) => s.submits(service));
    expect(new Set(uuids).size).toBe(4);
  });

  it('a quota of services: each owner names only so many that have open requests', () => {
    const { s, alice, bob } = scene(quotas({ services: 2 }));
    s.holdsStore();
    const sent = ['one', 'two', 'three', 'one'].map((name) => asks(alice, 'request', name, 'x'));
    expect(sent).toEqual(['', '', '500 the quota `services` is used up', '']);
    s.freesStore();
    const uuids = heard(alice)
      .split(' / ')
      .map((answer) => answer.replace('200|', ''));
    expect(uuids).toHaveLength(3);
    expect(asks(alice, 'request', 'three', 'x')).toBe('500 the quota `services` is used up');
    // What another owner has named is no new name, and counts for the other one.
    expect(asks(bob, 'request', 'three', 'x')).toMatch(/^200/);
    expect(asks(alice, 'request', 'three', 'x')).toMatch(/^200/);
    for (const uuid of [uuids[0], uuids[2]]) asks(alice, 'close', uuid ?? '');
    expect(asks(alice, 'request', 'four', 'x')).toMatch(/^200/);
    expect(asks(alice, 'request', 'one', 'x')).toBe('500 the quota `services` is used up');
  });

  it('and so many bytes, replies too; also what is on its way to the store counts', () => {
    const { s, alice } = scene(quotas({ storedBytes: 40 }));
    const large = 'x'.repeat(30);
    s.holdsStore();
    alice.request('titanic.request', 'echo', large);
    expect(asks(alice, 'request', 'echo', large)).toBe('500 the quota `storedBytes` is used up');
    s.freesStore();
    expect(heard(alice)).toMatch(/^200/);
    s.worker('w1').ready('echo').final('done and done');
    expect(asks(alice, 'request', 'echo', '')).toBe('500 the quota `storedBytes` is used up');
  });

  it('and so many keys: those that are remembered after a close count, until they are forgotten', () => {
    const day = 86_400_000;
    const { s, alice, bob } = scene(quotas({ storedBytes: 1000 }));
    let kept = 0;
    const submitted = (who: typeof alice): string => {
      who.request('titanic.submit', JSON.stringify({ key: `key ${kept++}` }), 'echo', 'x');
      return heard(who);
    };
    for (;;) {
      const [status, uuid = ''] = submitted(alice).split('|');
      if (status !== '200') break;
      expect(asks(alice, 'close', uuid)).toBe('200');
      expect(kept).toBeLessThan(10);
    }
    expect(submitted(alice)).toBe('500 the quota `storedBytes` is used up');
    expect(submitted(bob)).toMatch(/^200/);
    s.after(day + 20_000);
    expect(submitted(alice)).toMatch(/^200/);
  });

  it('what is on its way to the store is held in memory, and bounded with the rest (D77)', () => {
    const holdings = new Holdings(3000);
    const { s, alice, bob } = scene({ holdings });
    s.holdsStore();
    expect(asks(alice, 'request', 'echo', 'x'.repeat(1500))).toBe('');
    expect(holdings.bytes).toBeGreaterThan(1500);
    for (const client of [alice, bob]) {
      const refused = asks(client, 'request', 'echo', 'x'.repeat(1000));
      expect(refused).toBe('500 limits.memoryBytes is reached');
    }
    s.freesStore();
    expect(heard(alice)).toMatch(/^200/);
    expect(holdings.bytes).toBe(0);
    expect(asks(bob, 'request', 'echo', 'x'.repeat(1000))).toMatch(/^200/);
  });

  it('a wait too many is answered 300 at once (D75)', () => {
    const { s, alice } = scene(quotas({ waits: 2 }));
    const uuid = submits(alice);
    expect(asks(alice, 'wait', uuid, '1000')).toBe('');
    expect(asks(alice, 'wait', uuid, '1000')).toBe('');
    expect(s.told('titanic.wait_refused')).toEqual([]);
    expect(asks(alice, 'wait', uuid, '1000')).toBe('300');
    const wait = { name: 'titanic.wait_refused', key: 'alice', address: '127.0.0.1' };
    expect(s.told('titanic.wait_refused')).toEqual([wait]);
    expect(asks(alice, 'wait', uuid, '0')).toBe('300');
    expect(s.titanic.figures.counters.quotas).toMatchObject({ waits: 1, stored: 0 });
    s.after(1000);
    expect(heard(alice)).toBe('300 / 300');
    expect(asks(alice, 'wait', uuid, '1000')).toBe('');
  });

  it.each(['wait', 'progress', 'reply'] as const)(
    'a request for `%s` takes memory until it is answered, wherever it is kept; without room it is refused (D77)',
    (service) => {
      const holdings = new Holdings(6000);
      const { s, alice } = scene({ holdings });
      const uuid = service === 'reply' ? '0190A0B0C0D07000800000000000ABCD' : submits(alice);
      if (service === 'reply') s.holdsStore();
      const wait = service === 'wait' ? ['1000'] : service === 'progress' ? ['', '1000'] : [];
      const asked = Array.from({ length: 8 }, () => asks(alice, service, uuid, ...wait));
      expect(new Set(asked)).toEqual(new Set(['']));
      const refusal = { service: `titanic.${service}`, text: 'limits.memoryBytes is reached' };
      expect(s.events('request.refused')).toMatchObject([refusal, refusal, refusal]);
      expect(holdings.bytes).toBeGreaterThan(5 * 1024);
      if (service === 'reply') s.freesStore();
      else s.after(1000);
      expect([heard(alice).split(' / ').length, holdings.bytes]).toEqual([5, 0]);
    },
  );
});

describe('in a pair, on a node without its peer', () => {
  it('a uuid that it remembers as closed is 400, one that it does not know is 300 (D17)', () => {
    const replica = new StageReplica();
    const { s, alice, bob } = scene({ replica });
    const uuid = submits(alice);
    s.losesPeer();
    expect(asks(alice, 'close', uuid)).toBe('200');
    expect(asks(alice, 'reply', uuid)).toBe(UNKNOWN);
    expect(asks(bob, 'wait', uuid, '1000')).toBe(UNKNOWN);
    expect(asks(bob, 'reply', '0'.repeat(32))).toBe('300');
  });

  it('a strict close has the same answer for what is another’s, and for what the peer may have', () => {
    const { s, alice, bob } = scene({ replica: new StageReplica() });
    const uuid = submits(alice);
    s.losesPeer();
    expect(asks(bob, 'close', uuid, 'strict')).toBe('200');
    expect(asks(bob, 'close', '0'.repeat(32), 'strict')).toBe('200');
    expect(asks(alice, 'reply', uuid)).toBe('300');
  });

  it('what a stranger closed there is not certain for its owner, who may have it on the other', () => {
    const replica = new StageReplica();
    const { s, alice, bob } = scene({ replica });
    s.losesPeer();
    const uuid = uuidOf(5).toString('hex');
    expect(asks(bob, 'close', uuid)).toBe('200');
    expect(asks(bob, 'reply', uuid)).toBe(UNKNOWN);
    expect(asks(alice, 'reply', uuid)).toBe('300');
    expect(asks(alice, 'wait', uuid, '60000')).toBe('');
    const other = new StageDisk();
    other.apply(accept(5, { owner: 'key:alice', body: packed('x'), expiresAt: 2 ** 45 }));
    s.merges(other);
    expect(heard(alice)).toBe('');
    s.worker('w1').ready('echo').final('done');
    expect(heard(alice)).toBe('200|done');
    expect(asks(bob, 'reply', uuid)).toBe(UNKNOWN);
  });
});

describe('a close that failed and goes on (D14)', () => {
  it('is answered once, also if it turns out to be of what is another’s', () => {
    const { s, alice, bob } = scene({ replica: new StageReplica() });
    const uuid = submits(alice);
    s.worker('w1').ready('echo').final('done');
    s.store.failure = { kind: 'full', message: 'the disk is full' };
    expect(asks(bob, 'close', uuid)).toBe('500 the disk is full');
    s.store.failure = null;
    s.after(5000);
    expect(heard(bob)).toBe('');
    expect(asks(alice, 'reply', uuid)).toBe('200|done');
  });
});

describe('replies that are large (D76)', () => {
  const LARGE = 12_000_000;
  const whose = { owner: 'anonymous', isShared: false } as const;

  /** Answers without a store: what it is asked, and what goes out. */
  function bare(): {
    readonly answers: Answers;
    readonly asked: { readonly look: number; readonly bytesMax: number }[];
    /** Of the look-up of this number. */
    readonly found: (look: number, found: Found, now?: number) => void;
    readonly sent: number[];
    readonly said: string[];
    readonly turn: (now: number) => void;
  } {
    const asked: { look: number; bytesMax: number }[] = [];
    const looks: LookUp[] = [];
    const sent: number[] = [];
    const said: string[] = [];
    const answers = new Answers(
      new StoreWaits(Infinity, () => 0),
      (look, bytesMax) => {
        asked.push({ look: looks.push(look), bytesMax });
      },
      () => 0,
      () => false,
    );
    const host = {
      ...{
        isServed: () => true,
        isPaused: () => false,
        contracts: () => null,
        counts: { services: 0, workers: 0 },
        services: () => [],
        workers: () => [],
        recordHello: () => ({ resumeMs: null, isKnown: false, reason: null }),
        resume: () => 'no_session' as const,
        cancel: () => true,
      },
      answer: (id: number, [first]: readonly Buffer[]): void => {
        sent.push(id);
        said.push(String(first?.subarray(0, 100)));
      },
      part: (): void => undefined,
      refuse: (id: number): void => {
        sent.push(-id);
      },
    };
    const turn = (now: number): void => {
      answers.run(now);
      answers.send(host, now);
    };
    const found = (look: number, what: Found, now = 0): void => {
      answers.found(present(looks[look - 1], 'a look-up'), what, now);
    };
    return { answers, asked, found, sent, said, turn };
  }

  const replied = (reply: Buffer | null): Found => ({
    ...{ state: 'replied', reply, replyBytes: LARGE, ...whose },
  });

  it('reads a reply once for 240 questions, and builds only the answers that there is room for', () => {
    const { answers, asked, found, sent, turn } = bare();
    // Each that goes out takes its room.
    const output = { max: 30_000_000 };
    const reader = asker({ outputLeft: () => output.max - sent.length * LARGE });
    for (let id = 1; id <= 240; id++) {
      answers.lookUp({
        id: answers.waits.begins(id, false),
        asker: reader,
        uuid: uuidOf(1),
        until: 0,
        cursor: null,
      });
    }
    expect(asked).toEqual([{ look: 1, bytesMax: 4096 }]);
    found(1, replied(null));
    expect(asked.splice(0)).toHaveLength(2);
    const frame = Buffer.concat([
      Buffer.from([2, 0, 0, 0, 0, 0, 0xb7, 0x1b, 0]),
      Buffer.alloc(LARGE),
    ]);
    found(2, replied(frame));
    // One of this size in a turn: others are read between the two.
    turn(0);
    expect(sent).toEqual([1]);
    expect(answers.areDue).toBe(true);
    turn(0);
    expect(sent).toEqual([1, 2]);
    turn(1000);
    expect(asked).toEqual([]);
    // It has read both: the next two are read anew.
    output.max += 2 * LARGE;
    turn(1100);
    expect(asked).toEqual([{ look: 3, bytesMax: 4096 }]);
  });

  it('larger than its client may ever be sent, it is not read: 500 at once', () => {
    const { answers, asked, found, sent, said, turn } = bare();
    const reader = asker({ outputLeft: () => LARGE - 1, outputMax: () => LARGE - 1 });
    answers.lookUp({
      id: answers.waits.begins(1, false),
      asker: reader,
      uuid: uuidOf(1),
      until: 0,
      cursor: null,
    });
    found(1, replied(null));
    turn(0);
    expect(asked).toHaveLength(1);
    expect(sent).toEqual([1]);
    expect(said[0]).toMatch(/^500 the reply is larger than limits\.outputBytes/);
    expect(answers.dueAt).toBe(Infinity);
  });

  it('who does not read is refused in the end, and nothing is kept for it', () => {
    const { answers, asked, found, sent, turn } = bare();
    answers.lookUp({
      id: answers.waits.begins(7, false),
      asker: asker({ outputLeft: () => 0 }),
      uuid: uuidOf(1),
      until: 0,
      cursor: null,
    });
    found(1, replied(null));
    turn(0);
    turn(59_000);
    expect(sent).toEqual([]);
    turn(60_000);
    expect(sent).toEqual([-7]);
    expect(answers.dueAt).toBe(Infinity);
    expect(asked).toHaveLength(1);
  });

  it('who has the quota of those that wait is refused more, whatever connection they come by', () => {
    const { answers, found, sent, turn } = bare();
    const quotas = { ...asker().quotas, waits: 3 };
    const output = { left: 0 };
    const reader = (): ReturnType<typeof asker> => asker({ quotas, outputLeft: () => output.left });
    for (const id of [1, 2, 3, 4, 5]) {
      answers.lookUp({
        id: answers.waits.begins(id, false),
        asker: reader(),
        uuid: uuidOf(1),
        until: 0,
        cursor: null,
      });
    }
    found(1, replied(null));
    turn(0);
    expect(sent).toEqual([-4, -5]);
    output.left = Infinity;
    turn(100);
    answers.lookUp({
      id: answers.waits.begins(6, false),
      asker: reader(),
      uuid: uuidOf(1),
      until: 0,
      cursor: null,
    });
    found(2, replied(null), 100);
    turn(100);
    expect(sent).toEqual([-4, -5]);
  });

  it('is read once for those who ask for it within a moment, and anew after that', () => {
    const { answers, asked, found, sent, turn } = bare();
    const ask = (id: number, uuid: number): void => {
      answers.lookUp({
        id: answers.waits.begins(id, false),
        asker: asker(),
        uuid: uuidOf(uuid),
        until: 0,
        cursor: null,
      });
    };
    const frame = Buffer.concat([
      Buffer.from([2, 0, 0, 0, 0, 0, 0xb7, 0x1b, 0]),
      Buffer.alloc(LARGE),
    ]);
    ask(1, 1);
    found(1, replied(null));
    found(2, replied(frame));
    turn(0);
    asked.splice(0);
    // That it is still there is asked each time.
    ask(2, 1);
    ask(3, 2);
    expect(asked.splice(0).map(({ bytesMax }) => bytesMax)).toEqual([4096, 4096]);
    found(3, replied(null), 99);
    found(4, replied(null), 99);
    turn(99);
    expect(sent).toEqual([1, 2]);
    expect(asked.splice(0)).toEqual([{ look: 5, bytesMax: Infinity }]);
    found(5, { state: 'absent' }, 99);
    expect(answers.dueAt).toBe(100);
    turn(100);
    ask(4, 1);
    found(6, replied(null), 100);
    expect(asked.splice(0)).toEqual([
      { look: 6, bytesMax: 4096 },
      { look: 7, bytesMax: Infinity },
    ]);
  });

  it('whose connection is gone is read nothing more, and waits no longer', () => {
    const { answers, asked, found, sent, turn } = bare();
    const reader = { ...asker({ outputLeft: () => 0 }), isGone: false };
    for (let id = 1; id <= 5000; id++) {
      answers.lookUp({
        id: answers.waits.begins(id, false),
        asker: reader,
        uuid: uuidOf(1),
        until: 0,
        cursor: null,
      });
    }
    found(1, replied(null));
    turn(0);
    expect(sent).toEqual([]);
    reader.isGone = true;
    // So many in a turn.
    turn(100);
    expect(sent).toHaveLength(4096);
    turn(101);
    expect(sent).toHaveLength(4096);
    turn(200);
    expect(sent).toHaveLength(5000);
    expect(sent.every((id) => id < 0)).toBe(true);
    turn(300);
    expect(answers.dueAt).toBe(Infinity);
    expect(asked).toHaveLength(1);
  });

  it('connections of one identity share what it has room for', () => {
    const { answers, asked, found, turn } = bare();
    const output = { left: 0 };
    const outputLeft = (): number => output.left;
    for (let id = 1; id <= 20; id++) {
      const reader = asker({ outputLeft, identityOutputLeft: outputLeft });
      answers.lookUp({
        id: answers.waits.begins(id, false),
        asker: reader,
        uuid: uuidOf(id),
        until: 0,
        cursor: null,
      });
      found(id, replied(null));
    }
    turn(0);
    asked.splice(0);
    output.left = 3 * LARGE;
    turn(100);
    expect(asked).toHaveLength(3);
  });

  it('of many large ones some are read at a time, and of each identity in turn', () => {
    const { answers, asked, found } = bare();
    const [flooder, quiet] = [asker({ identity: 'a' }), asker({ identity: 'b' })];
    for (let n = 1; n <= 20; n++) {
      answers.lookUp({
        id: answers.waits.begins(n, false),
        asker: flooder,
        uuid: uuidOf(n),
        until: 0,
        cursor: null,
      });
    }
    answers.lookUp({
      id: answers.waits.begins(99, false),
      asker: quiet,
      uuid: uuidOf(99),
      until: 0,
      cursor: null,
    });
    for (const { look } of asked.splice(0)) found(look, replied(null));
    // 12 MB each, of 16 MiB.
    expect(asked.splice(0).map(({ look }) => look)).toEqual([22]);
    found(22, { state: 'absent' });
    found(23, { state: 'absent' });
    // The next ones are one of each.
    expect(asked.splice(0)).toHaveLength(2);
  });
});

describe('many who wait for one', () => {
  it('cost the same each, however many there are', () => {
    const costOf = (count: number): number => {
      const answers = new Answers(
        new StoreWaits(Infinity, () => 0),
        () => undefined,
        () => 0,
        () => false,
      );
      const waiting = asker();
      const began = process.cpuUsage().user;
      for (let id = 0; id < count; id++) {
        answers.pending(
          {
            id: answers.waits.begins(id, false),
            asker: waiting,
            uuid: uuidOf(1),
            until: 1000 + (id % 7),
            cursor: null,
          },
          0,
        );
      }
      for (let now = 1000; answers.dueAt < Infinity; now += 10) answers.run(now);
      return process.cpuUsage().user - began;
    };
    costOf(20_000);
    const [few, many] = [costOf(20_000), costOf(160_000)];
    // Eight times as many take eight times as long, and some for the heap; sixty-four for a list.
    expect(many / few).toBeLessThan(24);
  });
});
