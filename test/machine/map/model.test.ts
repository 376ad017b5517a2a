/**
 * Two nodes, writers that send to both, and clients, from one seed, against the simplest model of a
 * map: what was published, in order. Nodes crash between any two steps of a commit.
 */
import { describe, expect, it } from '@jest/globals';

import { present } from '../../../src/core/assert.js';
import { MemoryMapRows } from '../../../src/testing/memory-map-rows.js';
import type { MapRecord } from '../../../src/store/map-record.js';
import { seededRandom } from '../../support/stage-random.js';
import { Stage } from './stage.js';

const ALL = { tombstones: 'all', holds: null, peerHolds: 0 } as const;
const KEYS = ['a', 'b', '/c/d', 'e'];
const STEPS = 1500;

interface KvSet {
  readonly key: string;
  readonly value: string;
  readonly uuid: string;
  readonly ttl: number;
}

interface Published {
  readonly at: number;
  readonly isWritten: boolean;
}

interface Node {
  readonly tables: MemoryMapRows;
  /** `null`: it is down. */
  stage: Stage | null;
  /** Since when it has heard of all changes. */
  knowsSince: number;
}

class World {
  now = 1000;
  readonly nodes: readonly [Node, Node] = [
    { tables: new MemoryMapRows(), stage: null, knowsSince: 0 },
    { tables: new MemoryMapRows(), stage: null, knowsSince: 0 },
  ];
  active = 0;
  epoch = 0;
  /** Both up, and with the same content. */
  isInSync = false;
  /** The leader crashed while the other one had all that it had shown. */
  mayTakeOver = false;
  /** What clients were told, in order. */
  readonly model = new Map<string, string>();
  /** Committed somewhere, but perhaps never published. */
  readonly maybe: MapRecord[] = [];
  /** A client's map, and the number up to which it has everything. */
  client = new Map<string, string>();
  clientHas: readonly [number, number] = [0, 0];
  last: readonly [number, number] = [0, 0];
  readonly #published = new Map<string, Published>();
  readonly #lastOf = new Map<string, string>();
  /** When the time to live of a key began, and how long it is; 0: none. */
  readonly #lives = new Map<string, { readonly since: number; readonly ttl: number }>();
  readonly sent: KvSet[] = [];
  /** The uuids of changes that reached a disk. */
  readonly written = new Set<string>();
  /** How often each thing happened. */
  readonly seen = new Map<string, number>();
  readonly draw: (most: number) => number;

  constructor(seed: number) {
    const random = seededRandom(seed);
    const bytes = Buffer.alloc(4);
    this.draw = (most) => {
      random(bytes);
      return bytes.readUInt32BE(0) % most;
    };
    for (const node of this.nodes) this.start(node);
    this.lead(0);
    this.join();
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  node(index: number): Node {
    return this.nodes[index === 0 ? 0 : 1];
  }

  get leader(): Stage | null {
    return this.node(this.active).stage;
  }

  get other(): Stage | null {
    return this.node(1 - this.active).stage;
  }

  start(node: Node): void {
    node.knowsSince = this.now;
    node.stage = new Stage({ tables: node.tables });
    node.stage.tombstones = 'all';
    node.stage.now = this.now;
    node.stage.load();
  }

  lead(index: number): void {
    this.active = index;
    // Renewals are not replicated, nor are uuids kept on disk.
    for (const [uuid, { at, isWritten }] of this.#published) {
      if (!isWritten || at <= this.node(index).knowsSince) this.#published.delete(uuid);
    }
    this.mayTakeOver = false;
    this.leader?.activate(++this.epoch);
    this.read();
    this.connect();
  }

  /** A client begins anew. */
  connect(): void {
    const stage = this.leader;
    if (stage?.machine.isServing !== true || stage.batches.length > 0) {
      this.client = new Map([['not', 'connected']]);
      return;
    }
    stage.turn();
    this.read();
    const { map, number } = stage.wholeMap();
    expect(number).not.toBe('');
    this.client = new Map(Object.entries(map as Record<string, string>));
    this.clientHas = numberOf(number);
  }

  /** The node that is not active has restarted: both take in what the other one has. */
  join(): void {
    const [leader, other] = [this.leader, this.other];
    if (leader === null || other === null) return;
    this.note('join');
    while (leader.batches.length > 0) leader.commitOne();
    for (const [from, to] of [
      [other, leader],
      [leader, other],
    ] as const) {
      const { records } = from.tables.changed(0, Infinity, Infinity);
      const merged = to.tables.merge({ number: to.takeNumber(), ...ALL }, records, 0);
      to.machine.merged(merged);
    }
    this.isInSync = true;
    this.node(1 - this.active).knowsSince = this.now;
    leader.turn();
    this.read();
  }

  crash(node: Node): void {
    this.note('crash');
    // It may have reached the disk, or the other node, and nobody was told.
    node.stage = null;
    this.mayTakeOver = this.isInSync && node === this.node(this.active);
    this.isInSync = false;
  }

  /** The leader's store commits its batch, and the other's; it may crash in between. */
  commit(): void {
    const { leader, other, isInSync } = this;
    const batch = leader?.batches.shift();
    if (leader === null || batch === undefined) return;
    const node = this.node(this.active);
    const crashAt = this.draw(40);
    if (crashAt === 0) {
      this.crash(node);
      return;
    }
    if (this.draw(20) === 0) {
      this.note('failed');
      batch.outcome.failed({ kind: 'full', message: 'full' });
      return;
    }
    leader.tables.change({ number: batch.number, ...ALL }, batch.changes);
    this.maybe.push(...batch.changes);
    for (const { uuid } of batch.changes) this.written.add(uuid);
    if (crashAt === 1) {
      this.crash(node);
      return;
    }
    if (isInSync && other !== null) {
      other.tables.change({ number: other.takeNumber(), ...ALL }, batch.changes);
      other.machine.followed(batch.changes);
    }
    if (crashAt === 2) {
      this.crash(node);
      return;
    }
    batch.outcome.done(null);
    this.read();
  }

  write(set: KvSet): void {
    for (const { stage } of this.nodes) {
      if (stage === null || this.draw(10) === 0) continue;
      const properties = set.ttl === 0 ? '' : `ttl=${set.ttl}\n`;
      stage.kvset([set.key, '', set.uuid, properties, set.value]);
    }
  }

  step(): void {
    const what = this.draw(100);
    if (what < 40) {
      const uuid = `u${String(this.sent.length).padStart(15, '0')}`;
      const value = ['', 'x', 'y', 'z'][this.draw(4)] ?? '';
      const ttl = this.draw(3) === 0 ? 1 + this.draw(3) : 0;
      const set = { key: KEYS[this.draw(KEYS.length)] ?? 'a', value, uuid, ttl };
      this.sent.push(set);
      this.write(set);
    } else if (what < 50 && this.sent.length > 0) {
      this.note('again');
      this.write(present(this.sent[Math.max(0, this.sent.length - 1 - this.draw(20))], 'a set'));
    } else if (what < 70) {
      this.pass(this.draw(20) === 0 ? 5000 + this.draw(20_000) : this.draw(900));
    } else if (what < 90) {
      this.commit();
    } else if (what < 92) {
      const node = this.node(this.draw(2));
      if (node.stage !== null) this.crash(node);
    } else if (what < 94) {
      this.switchOver();
    } else if (what < 97) {
      this.mend();
    } else {
      this.check();
    }
  }

  pass(ms: number): void {
    this.now += ms;
    for (const { stage } of this.nodes) {
      if (stage === null) continue;
      stage.now = this.now;
      stage.turn();
    }
    this.read();
  }

  /** In sync, the other node takes over. */
  switchOver(): void {
    const { leader, other } = this;
    if (!this.isInSync || leader === null || other === null || leader.batches.length > 0) return;
    this.note('switchover');
    leader.machine.deactivate(this.now);
    this.read();
    leader.news();
    this.lead(1 - this.active);
  }

  /** Whatever is down comes back, or is replaced. */
  mend(): void {
    if (this.leader === null && this.other !== null && this.mayTakeOver) {
      this.note('failover');
      this.lead(1 - this.active);
      return;
    }
    for (const node of this.nodes) if (node.stage === null) this.start(node);
    if (this.leader?.machine.isServing !== true) this.lead(this.active);
    if (!this.isInSync) this.join();
  }

  /** What the leader has published. */
  read(): void {
    for (const { stage } of this.nodes) {
      for (const line of stage?.news() ?? []) if (/^\d+\.\d+ /.test(line)) this.told(line);
    }
  }

  told(line: string): void {
    const [no = '', pair = '', ...rest] = line.split(' ');
    const [key = '', value = ''] = pair.split('=');
    const uuid = rest.find((part) => part.length === 16) ?? '';
    const number = numberOf(no);
    expect(compare(number, this.last)).toBeGreaterThan(0); // D48
    this.last = number;
    this.noteRepeat(key, uuid);
    this.noteLife(key, value, uuid, rest);
    if (value === '') this.model.delete(key);
    else this.model.set(key, value);
    if (compare(number, this.clientHas) <= 0) return;
    if (value === '') this.client.delete(key);
    else this.client.set(key, value);
  }

  /** D50: what came again within ten seconds is only told again if it was the last change. */
  noteRepeat(key: string, uuid: string): void {
    const before = this.#published.get(uuid);
    if (uuid !== '' && before !== undefined && this.now - before.at < 10_000) {
      expect(this.#lastOf.get(key)).toBe(uuid);
    }
    if (uuid === '' || before !== undefined) return;
    const isWritten = this.written.has(uuid);
    this.#published.set(uuid, { at: this.now, isWritten });
  }

  /** D51: no key expires before its time. */
  noteLife(key: string, value: string, uuid: string, rest: readonly string[]): void {
    const life = this.#lives.get(key);
    if (value === '' && uuid === '' && life !== undefined && life.ttl > 0) {
      this.note('expired');
      expect(this.now - life.since).toBeGreaterThanOrEqual(life.ttl * 1000);
    }
    const isSame = uuid !== '' && this.#lastOf.get(key) === uuid;
    this.#lastOf.set(key, uuid);
    if (isSame) return;
    const ttl = Number(/ttl=(\d+)/.exec(rest.join(' '))?.[1] ?? 0);
    this.#lives.set(key, { since: this.now, ttl });
  }

  /** The leader, when all that waits is published; `null`: there is none, or it crashed. */
  settled(): Stage | null {
    for (let turns = 0; turns < 10; turns++) {
      const { leader } = this;
      if (leader?.machine.isServing !== true) return null;
      leader.turn();
      if (leader.batches.length === 0) return leader;
      this.commit();
    }
    return null;
  }

  /** The node, its store, its client and the model agree. */
  check(): void {
    const stage = this.settled();
    if (stage === null) return;
    this.note('checked');
    this.read();
    const { map } = stage.wholeMap();
    const now = new Map(Object.entries(map as Record<string, string>));
    for (const key of KEYS) {
      const told = this.model.get(key) ?? '';
      const could = this.maybe.filter((change) => change.key === key).map(({ value }) => value);
      expect([told, ...could]).toContain(now.get(key) ?? '');
      if (now.has(key)) this.model.set(key, now.get(key) ?? '');
      else this.model.delete(key);
    }
    if (!this.client.has('not')) expect(this.client).toEqual(now);
    const stored = stage.tables.list('', 100).map(({ key, value }) => [key, String(value)]);
    expect(new Map(stored as [string, string][])).toEqual(now);
    if (this.isInSync) expect(this.other?.tables.list('', 100)).toEqual(stage.tables.list('', 100));
    this.maybe.length = 0;
    this.connect();
  }
}

function numberOf(text: string): readonly [number, number] {
  const [epoch = 0, counter = 0] = text.split('.').map(Number);
  return [epoch, counter];
}

function compare(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0] || a[1] - b[1];
}

describe('a pair with crashes, failovers, duplicates and pauses', () => {
  const seen = new Map<string, number>();

  it.each(Array.from({ length: 30 }, (_, at) => at + 1))(
    'keeps what it showed: seed %i',
    (seed) => {
      const world = new World(seed);
      for (let step = 0; step < STEPS; step++) world.step();
      world.mend();
      world.mend();
      world.check();
      for (const [what, count] of world.seen) seen.set(what, (seen.get(what) ?? 0) + count);
    },
  );

  it('has seen all that it is about', () => {
    const all = [
      'join',
      'crash',
      'failed',
      'again',
      'switchover',
      'failover',
      'expired',
      'checked',
    ];
    expect(all.filter((what) => (seen.get(what) ?? 0) < 50)).toEqual([]);
  });
});
