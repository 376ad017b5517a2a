/** What a broker claims of the groups of a service, of a store that other brokers use, too (D118). */
import type { RunLimit } from '../../../src/broker/options.js';
import { ownOf, ownOfGroup } from '../../../src/store/own-fields.js';
import type { ClaimedRequest, Wanted } from '../../../src/store/store.js';
import { StageClaims } from '../../support/stage-claims.js';
import type { WorkerActor } from '../../support/stage-peers.js';
import { requestOf } from '../../support/store-changes.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  type TitanicStage,
  titanicStage,
} from '../../support/titanic-stage.js';

const POLL_MS = 250;
const NONE: RunLimit = { running: Infinity, perSecond: Infinity, burst: 1 };

afterEach(endTitanicStages);

class Shared {
  readonly claims: StageClaims = new StageClaims();
  readonly s: TitanicStage = titanicStage({ claims: this.claims });
  readonly w: WorkerActor;
  #stored = 0;

  constructor(group: Partial<RunLimit> | null, holds = false) {
    const { s } = this;
    if (group !== null) {
      const limits = { service: null, group: { ...NONE, ...group }, holds };
      s.input((broker) => broker.setServiceLimits(() => limits));
    }
    this.claims.answer();
    this.w = s.worker('w').ready('echo', { credit: 4 }).heartbeatsEvery(1000);
  }

  /** As the store gives requests of these groups: `a b`. */
  gives(groups: string): void {
    this.claims.answer(...groups.split(' ').map((group) => this.#foreign(group)));
    this.s.turn();
  }

  #foreign(group: string): ClaimedRequest {
    const body = Buffer.from([0, 1, ...Buffer.from(group)]);
    const request = requestOf(++this.#stored, {
      ...{ acceptedAt: STAGE_WALL_MS, notBefore: STAGE_WALL_MS },
      ...{ bodyBytes: body.length, expiresAt: this.s.wall + 600_000, own: ownOfGroup(group) },
    });
    this.s.store.disk.apply({ kind: 'accept', request, body, key: null });
    const content = { body, headers: null, backoff: null };
    return { request, claim: 2, content, isTurn: true };
  }

  /** What is wanted in the order that waits: `echo 3, not a b`. */
  get wanted(): string {
    const all = this.claims.isWaiting ? (this.claims.orders.at(-1)?.wanted ?? []) : [];
    return all
      .filter(({ isSchedules }) => !isSchedules)
      .map(shown)
      .join(', ');
  }

  get released(): number {
    return this.claims.orders.flatMap(({ released }) => released).length;
  }

  /** The next poll finds nothing. */
  polls(): void {
    if (!this.claims.isWaiting) this.s.after(POLL_MS);
    this.claims.answer();
    this.s.turn();
  }
}

function shown({ service, most, turns: { held } }: Wanted): string {
  const names = held.map((own) => ownOf('request', own)?.group.toString() ?? '?');
  const not = names.length === 0 ? '' : `, not ${names.sort().join(' ')}`;
  return `${service.toString()} ${most}${not}`;
}

describe('a broker that shares its store', () => {
  it('goes on behind the group that had the last turn', () => {
    const shared = new Shared(null);
    const { w, claims } = shared;
    shared.gives('a b');
    expect(w.inbox()).toEqual(['REQUEST a', 'REQUEST b']);
    // There may be others of a lower priority.
    expect(shared.wanted).toBe('echo 2');
    const after = claims.orders.at(-1)?.wanted.find(({ isSchedules }) => !isSchedules)?.turns.after;
    expect(after).toEqual(ownOfGroup('b'));
  });

  it('claims nothing of a full group, and gives nothing of it back', () => {
    const shared = new Shared({ running: 1 });
    const { s, w, claims } = shared;
    expect(shared.wanted).toBe('echo 4');
    shared.gives('a b');
    expect(w.inbox()).toEqual(['REQUEST a', 'REQUEST b']);
    expect(shared.wanted).toBe('echo 2, not a b');
    for (let n = 0; n < 20; n++) shared.polls();
    expect(shared.released).toBe(0);
    // It asks no more often than without limits.
    expect(claims.orders.length).toBeLessThan(50);
    claims.answer();
    w.final('done');
    s.turn();
    expect(shared.wanted).toBe('echo 4, not b');
    shared.gives('a');
    expect(w.inbox()).toEqual(['REQUEST a']);
    w.final('done');
    w.final('done');
  });

  it('keeps a request of a group that waits for its next attempt, if that holds its group', () => {
    const shared = new Shared({}, true);
    const { s, w } = shared;
    shared.gives('a b');
    expect(w.inbox()).toEqual(['REQUEST a', 'REQUEST b']);
    w.fails(['retry', 'busy', 'try again']);
    s.turn();
    expect(s.store.changes.at(-1)).toMatchObject({ kind: 'attempt', keepsClaim: true });
    shared.polls();
    s.after(POLL_MS);
    expect(shared.wanted).toBe('echo 4, not a');
    for (let ms = 0; ms < 1000; ms += POLL_MS) shared.polls();
    expect(w.inbox()).toEqual(['REQUEST a']);
    expect(shared.released).toBe(0);
    w.final('done');
    w.final('done');
  });

  it('claims of a group again when its next start is due', () => {
    const shared = new Shared({ perSecond: 1 });
    const { s, w, claims } = shared;
    s.after(1000);
    claims.answer();
    s.after(POLL_MS);
    shared.gives('a');
    expect(w.inbox()).toEqual(['REQUEST a']);
    w.final('done');
    shared.polls();
    s.after(POLL_MS);
    expect(shared.wanted).toBe('echo 4, not a');
    for (let ms = 0; ms < 1000; ms += 50) {
      claims.answer();
      s.after(50);
    }
    s.after(POLL_MS);
    expect(shared.wanted).toBe('echo 4');
  });

  it('does not claim a new request of a full group with its acceptance: older ones may wait in the store', () => {
    const shared = new Shared({ running: 1 });
    const { s, w, claims } = shared;
    claims.answer();
    s.submits('echo', 'first', { group: 'a' });
    expect(w.inbox()).toEqual(['REQUEST first']);
    s.submits('echo', 'second', { group: 'a' });
    expect(s.store.changes.at(-1)).not.toHaveProperty('claim');
    expect(shared.wanted).toBe('echo 4, not a');
    claims.answer();
    w.final('done');
  });

  it('gives back what was claimed of a group that is full by then, also while its workers have room', () => {
    const shared = new Shared({ running: 1 });
    const { w, claims } = shared;
    shared.gives('a a');
    expect(w.inbox()).toEqual(['REQUEST a']);
    for (let n = 0; n < 4; n++) shared.polls();
    expect(shared.released).toBe(1);
    expect(claims.orders.filter(({ released }) => released.length > 0)).toHaveLength(1);
    w.final('done');
  });
});
