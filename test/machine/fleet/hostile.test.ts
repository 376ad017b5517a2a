import { PackNumbers } from '../../../src/extensions/fleet/machine/pack-numbers.js';
import { fleetDigest } from '../../../src/extensions/fleet/machine/subjects.js';
import {
  askEntry,
  chunkRoom,
  encodeChunk,
  encodePack,
  heldEntry,
  hintEntry,
  offerEntry,
  presenceEntry,
  returnEntry,
  wantEntry,
} from '../../../src/extensions/fleet/machine/codec.js';
import type { FleetChannel, FleetHead } from '../../../src/extensions/fleet/machine/protocol.js';
import {
  endFleets,
  fleet,
  type FleetStage,
  type FleetWorld,
  sha256,
  STAGE_FLEET,
} from '../../support/fleet-stage.js';

afterEach(endFleets);

function pair(): [FleetWorld, FleetStage, FleetStage] {
  const w = fleet({ maxDeliveries: 3 });
  return [w, w.broker('a'), w.broker('b')];
}

function headFor(stage: FleetStage, sender: string, number = 1): FleetHead {
  const to = Buffer.from(stage.members()[0]?.id ?? '', 'hex');
  const facts = { fleet: STAGE_FLEET, sender: Buffer.from(sender), to, number, seen: 0 };
  return { channel: 'direct', ...facts };
}

function one(head: FleetHead, entry: Buffer): Buffer {
  return encodePack(head, [entry], entry.length);
}

/** One that does nothing. */
function entryOn(channel: FleetChannel): Buffer {
  const keys = Buffer.alloc(8);
  const presence = { node: 'a', version: '1', keys, isLeaving: false, takesOnce: true };
  if (channel === 'direct') return heldEntry([]);
  if (channel === 'presence') return presenceEntry(presence);
  if (channel === 'want') return wantEntry(Buffer.from('nothing'));
  return channel === 'hint' ? hintEntry(Buffer.alloc(2)) : offerEntry([]);
}

describe('what is hostile on the bus', () => {
  it('is dropped and counted: garbage, another version, another fleet', () => {
    const [w, , b] = pair();
    const good = one(headFor(b, 'stranger'), askEntry());
    const version = Buffer.from(good);
    version[3] = 9;
    w.inject(b, Buffer.alloc(0));
    w.inject(b, Buffer.alloc(100_000, 0xff));
    w.inject(b, version);
    w.inject(
      b,
      one({ ...headFor(b, 'stranger'), fleet: fleetDigest('other', sha256) }, askEntry()),
    );
    w.inject(b, one({ ...headFor(b, 'stranger'), to: Buffer.alloc(8) }, askEntry()));
    expect(b.machine.counters.dropped).toMatchObject({
      ...{ garbage: 2, version: 1, fleet: 1, unknown: 1 },
    });
    expect(b.told('fleet.pack_dropped')).toHaveLength(5);
  });

  it('a pack to all holds one entry, and the log names the broker that it says it is from', () => {
    const [w, , b] = pair();
    const want = wantEntry(Buffer.from('echo'));
    const head = { ...headFor(b, 'stranger'), channel: 'want' } as const;
    w.inject(b, encodePack({ ...head, number: 1 }, [want], want.length));
    expect(b.machine.counters.dropped.garbage).toBe(0);
    w.inject(b, encodePack({ ...head, number: 2 }, [want, want], 2 * want.length));
    expect(b.machine.counters.dropped.garbage).toBe(1);
    const sender = head.sender.toString('hex');
    expect(b.told('fleet.pack_dropped')).toMatchObject([{ reason: 'garbage', sender }]);
  });

  it('runs nothing twice: all packs repeated, once at once and once later', () => {
    const [w, a, b] = pair();
    const worker = a.worker('w').ready('echo', { credit: 5 });
    const client = b.client('c').request('echo', 'hi');
    worker.final('ho');
    const sent = w.packs.filter(({ subject }) => subject.includes('.to.'));
    for (let times = 0; times < 2; times++) {
      for (const { bytes, from } of sent) w.inject(from === 'a' ? b : a, Buffer.from(bytes));
      w.after(2000);
    }
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    expect(client.inbox()).toEqual(['FINAL echo ho']);
    expect(a.machine.counters.dropped.replayed).toBeGreaterThan(0);
  });

  it.each(['direct', 'offer', 'want', 'presence', 'hint'] as const)(
    'a forged pack with a huge number on %s cuts nobody off (D104)',
    (channel) => {
      const [w, a, b] = pair();
      const worker = a.worker('w').ready('echo', { credit: 5 }).heartbeatsEvery(1000);
      const first = b.client('c').request('echo', 'hi');
      worker.final('ho');
      w.after(2000);
      const sender = a.members()[0]?.id ?? '';
      const forge = (number: number): void => {
        const head = { ...headFor(b, '', number), sender: Buffer.from(sender, 'hex'), channel };
        w.inject(b, one({ ...head, seen: number }, entryOn(channel)));
      };
      forge(2 ** 48 - 1);
      w.after(1000);
      forge(2 ** 47);
      expect(b.machine.counters.dropped.jump).toBe(2);
      expect(b.told('fleet.pack_dropped')).toContainEqual(
        expect.objectContaining({ reason: 'jump', sender }),
      );
      w.after(5000);
      const second = b.client('c2').request('echo', 'hi');
      worker.final('ho');
      expect([first.inbox(), second.inbox()]).toEqual([['FINAL echo ho'], ['FINAL echo ho']]);
      expect([a.machine.peers, b.machine.peers]).toEqual([1, 1]);
      expect(b.told('fleet.peer_lost')).toEqual([]);
    },
  );

  it('a number that may have been reached is believed until its sender goes on below it (D104)', () => {
    const numbers = new PackNumbers();
    const come = (number: number, now: number): string | null => {
      const fault = numbers.fault(number, now);
      if (fault === null) numbers.note(number, now);
      return fault;
    };
    expect(come(900_000, 0)).toBe(null);
    expect([come(900_000, 0), come(1_000_000, 1)]).toEqual(['replayed', 'jump']);
    expect(come(1_000_000, 1000)).toBe(null);
    expect([come(900_000, 1001), come(1_000_000, 1001)]).toEqual(['replayed', 'replayed']);
    expect([come(900_001, 1001), come(900_002, 1001), come(900_001, 1001)]).toEqual([
      null,
      null,
      'replayed',
    ]);
  });

  it('does not come back from the dead: packs of a broker that is gone are known', () => {
    const [w, a, b] = pair();
    a.worker('w').ready('echo');
    b.client('c').request('echo', 'hi');
    const old = w.packs.filter(({ from, subject }) => from === 'a' && subject.includes('.to.'));
    w.kill(a);
    w.after(5000);
    expect(b.machine.peers).toBe(0);
    for (const { bytes } of old) w.inject(b, Buffer.from(bytes));
    expect(b.machine.peers).toBe(0);
    expect(b.machine.counters.dropped.replayed).toBe(old.length);
  });

  it('ends no request of others: a token counts only from the broker that has the request', () => {
    const [w, a, b] = pair();
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    const back = returnEntry(1, 'returned', { free: 1, total: 1 }, '');
    w.inject(b, one(headFor(b, 'stranger', 1), back));
    w.inject(b, one(headFor(b, 'stranger', 2), heldEntry([])));
    w.inject(b, one(headFor(b, 'stranger', 3), heldEntry([])));
    expect(b.broker.load.requestsOut).toBe(1);
    expect(b.machine.counters.dropped.unknown).toBe(1);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });

  it('reserves no memory for chunks that do not come', () => {
    const [w, , b] = pair();
    const whole = Buffer.alloc(900_000);
    const room = chunkRoom(8192);
    for (let n = 0; n < 200; n++) {
      w.inject(b, encodeChunk(headFor(b, `c${String(n).padStart(7, '0')}`), whole, 0, room));
    }
    // 64 MiB for all of them together.
    expect(b.machine.counters.dropped.chunk).toBeGreaterThan(100);
    w.inject(b, encodeChunk(headFor(b, 'tooLarge'), Buffer.alloc(3_000_000), 0, room));
    w.inject(b, encodeChunk(headFor(b, 'tooSmall'), whole, 0, 10));
    const before = b.machine.counters.dropped.chunk;
    w.inject(b, encodeChunk(headFor(b, 'c0000000', 3), whole, room, 2 * room));
    expect(b.machine.counters.dropped.chunk).toBe(before + 1);
  });

  it('keeps a turn short: it ends after a mebibyte of packs, and the rest is read in the next ones', () => {
    const [, , b] = pair();
    const { machine } = b;
    const read: number[] = [];
    for (let n = 0; n < 25; n++) machine.received(Buffer.alloc(100_000, 0xff));
    for (let before = 0; before < 25; before = machine.counters.dropped.garbage) {
      machine.run(0, b.broker.storedDeliveries, b.broker.remote);
      read.push(machine.counters.dropped.garbage - before);
      expect(machine.dueInMs(0) === 0).toBe(machine.counters.dropped.garbage < 25);
    }
    expect(read).toEqual([11, 11, 3]);
  });

  it('makes no endless list of brokers or services', () => {
    const [w, , b] = pair();
    const offers = Array.from({ length: 12_000 }, (_, n) => ({
      ...{ service: Buffer.from(`s${n}`), free: 1, total: 1, bytes: 1000 },
    }));
    w.inject(b, one(headFor(b, 'stranger'), offerEntry(offers)));
    // Nobody here needs them.
    expect(b.broker.load.services).toBe(0);
    for (let n = 0; n < 1200; n++) {
      w.inject(b, one(headFor(b, `b${String(n).padStart(7, '0')}`), askEntry()));
    }
    expect(b.machine.peers).toBe(1000);
    expect(b.machine.counters.dropped.full).toBeGreaterThan(0);
  });
});

describe('a client that asks for services that nobody has', () => {
  it('does not keep others from those that somebody has', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    b.gives((machine) => {
      for (let n = 0; n < 10_000; n++) {
        machine.ask(Buffer.from(`none ${n}`), () => undefined);
      }
    });
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });
});

describe('hints', () => {
  it('come to all other brokers, once, and go to nobody while the bus is away', () => {
    const w = fleet();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => w.broker(name));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three brokers');
    w.after(1000);
    w.fate = () => [0, 5];
    a.gives((machine) => machine.hint(Buffer.from('one')));
    w.after(5);
    expect([a.hints, b.hints, c.hints]).toEqual([[], ['one'], ['one']]);
    w.goesDown();
    a.gives((machine) => machine.hint(Buffer.from('two')));
    w.comesBack();
    w.after(1000);
    expect(b.hints).toEqual(['one']);
  });
});
