/**
 * A store on a stage: the ladder (D17) on plain maps. What it is asked waits until it is told to
 * answer, so that a script decides what happens in between; a crash forgets what waits.
 */
import type {
  Change,
  ChangeResult,
  Found,
  RequestUuid,
  Store,
  StoreCounts,
  StoredRequest,
  StoreEvents,
  StoreFailure,
} from '../../src/titanic/store.js';

interface Row {
  request: StoredRequest;
  readonly body: Buffer;
  readonly key: string | null;
  attempts: string[];
  reply: Buffer | null;
  reason: string;
  /** When a replied or dead one is dropped. */
  until: number;
}

/** What is on the disk: survives the process. */
export class StageDisk {
  rows = new Map<string, Row>();
  keys = new Map<string, { readonly uuid: Buffer; until: number }>();
  nextNumber = 1;

  get counts(): StoreCounts {
    const counts = { pending: 0, replied: 0, dead: 0, bytes: 0 };
    for (const { request, body, reply } of this.rows.values()) {
      counts[request.state]++;
      counts.bytes += body.length + (reply?.length ?? 0);
    }
    return counts;
  }

  get pending(): StoredRequest[] {
    const rows = [...this.rows.values()].filter(({ request }) => request.state === 'pending');
    return rows.map(({ request }) => request).sort((a, b) => a.number - b.number);
  }

  row(uuid: RequestUuid): Row | undefined {
    return this.rows.get(uuid.toString('hex'));
  }

  find(uuid: RequestUuid): Found {
    const row = this.row(uuid);
    if (row === undefined) return { state: 'absent' };
    if (row.reply !== null) return { state: 'replied', reply: row.reply };
    return row.request.state === 'dead'
      ? { state: 'dead', reason: row.reason }
      : { state: 'pending' };
  }

  apply(change: Change): ChangeResult {
    switch (change.kind) {
      case 'accept':
        return this.#accept(change);
      case 'attempt': {
        const row = this.#pending(change);
        if (row === null || change.attempts <= row.request.attempts) return { kind: 'passed' };
        row.request = {
          ...row.request,
          attempts: change.attempts,
          notBefore: change.notBefore,
        };
        row.attempts.push(`${change.attempt.worker}: ${change.attempt.reason}`);
        return { kind: 'done' };
      }
      case 'reply':
      case 'dead': {
        const row = this.#pending(change);
        if (row === null) return { kind: 'passed' };
        row.until = change.expiresAt;
        row.request = { ...row.request, state: change.kind === 'dead' ? 'dead' : 'replied' };
        if (change.kind === 'dead') row.reason = change.reason;
        else row.reply = change.reply;
        return { kind: 'done' };
      }
      case 'close':
      case 'expire':
        return this.#end(change.uuid, change.keyUntil);
      case 'retry':
        return this.#retry(change);
      case 'sweep':
        return this.#sweep(change.now, change.keyUntil, change.most);
    }
  }

  #accept({ request, body, key }: Extract<Change, { kind: 'accept' }>): ChangeResult {
    const name = key === null ? null : `${request.service.toString('hex')} ${key.toString('hex')}`;
    const known = name === null ? undefined : this.keys.get(name);
    if (known !== undefined) return { kind: 'known', uuid: known.uuid };
    if (this.row(request.uuid) !== undefined) return { kind: 'passed' };
    if (name !== null) this.keys.set(name, { uuid: request.uuid, until: Infinity });
    const empty = { attempts: [], reply: null, reason: '', until: Infinity };
    this.rows.set(request.uuid.toString('hex'), { request, body, key: name, ...empty });
    this.nextNumber = Math.max(this.nextNumber, request.number + 1);
    return { kind: 'done' };
  }

  #end(uuid: RequestUuid, keyUntil: number): ChangeResult {
    const row = this.row(uuid);
    if (row === undefined) return { kind: 'passed' };
    const key = row.key === null ? undefined : this.keys.get(row.key);
    if (key !== undefined) key.until = keyUntil;
    this.rows.delete(uuid.toString('hex'));
    return { kind: 'done' };
  }

  #sweep(now: number, keyUntil: number, most: number): ChangeResult {
    const swept = { replied: 0, dead: 0 };
    for (const { request, until } of [...this.rows.values()]) {
      const { state } = request;
      if (state === 'pending' || until > now) continue;
      if (swept.replied + swept.dead === most) return { kind: 'swept', ...swept, more: true };
      swept[state]++;
      this.#end(request.uuid, keyUntil);
    }
    for (const [name, { until }] of this.keys) if (until <= now) this.keys.delete(name);
    return { kind: 'swept', ...swept, more: false };
  }

  #retry({ uuid, generation, at, expiresAt }: Extract<Change, { kind: 'retry' }>): ChangeResult {
    const row = this.row(uuid);
    if (row === undefined || generation <= row.request.generation) return { kind: 'passed' };
    const { request } = row;
    const now = { state: 'pending' as const, generation, attempts: 0, notBefore: at, expiresAt };
    row.request = { ...request, ...now };
    row.reply = null;
    row.until = Infinity;
    return { kind: 'retried', request: row.request };
  }

  #pending(step: { readonly uuid: RequestUuid; readonly generation: number }): Row | null {
    const row = this.row(step.uuid);
    if (row === undefined || step.generation < row.request.generation) return null;
    return row.request.state === 'pending' ? row : null;
  }
}

/** What a store was asked. */
export type Asked =
  | { readonly kind: 'commit'; readonly batch: number; readonly changes: readonly Change[] }
  | { readonly kind: 'load'; readonly load: number; readonly uuids: readonly RequestUuid[] }
  | { readonly kind: 'lookUp'; readonly look: number; readonly uuid: RequestUuid };

export class StageStore implements Omit<Store, 'close'> {
  readonly disk: StageDisk;
  /** What waits for an answer, in order. */
  readonly asked: Asked[] = [];
  /** All changes that were ever asked for. */
  readonly changes: Change[] = [];
  /** While set, no commit succeeds. */
  failure: StoreFailure | null = null;
  /** While set, no read succeeds. */
  readFailure: StoreFailure | null = null;
  #isCommitting = false;

  constructor(disk: StageDisk) {
    this.disk = disk;
  }

  commit(batch: number, changes: readonly Change[]): void {
    if (this.#isCommitting) throw new Error('a batch before the end of another');
    if (changes.length === 0) throw new Error('an empty batch');
    this.#isCommitting = true;
    this.changes.push(...changes);
    this.asked.push({ kind: 'commit', batch, changes });
  }

  load(load: number, uuids: readonly RequestUuid[]): void {
    this.asked.push({ kind: 'load', load, uuids });
  }

  lookUp(look: number, uuid: RequestUuid): void {
    this.asked.push({ kind: 'lookUp', look, uuid });
  }

  /** Answers one thing that it was asked. */
  answer(asked: Asked, events: StoreEvents): void {
    this.asked.splice(this.asked.indexOf(asked), 1);
    const { readFailure, failure, disk } = this;
    switch (asked.kind) {
      case 'commit': {
        this.#isCommitting = false;
        if (failure !== null) {
          events.batchFailed(asked.batch, failure);
          return;
        }
        const results = this.write(asked.changes);
        events.committed(asked.batch, results, disk.counts);
        return;
      }
      case 'load':
        if (readFailure !== null) events.loadFailed(asked.load, readFailure);
        else {
          events.loaded(
            asked.load,
            asked.uuids.map((uuid) => this.#body(uuid)),
          );
        }
        return;
      case 'lookUp':
        if (readFailure !== null) events.lookFailed(asked.look, readFailure);
        else events.found(asked.look, disk.find(asked.uuid));
    }
  }

  /** Puts a batch on the disk, also if nobody is told any more. */
  write(changes: readonly Change[]): ChangeResult[] {
    return changes.map((change) => this.disk.apply(change));
  }

  #body(uuid: RequestUuid): Buffer | null {
    const row = this.disk.row(uuid);
    return row?.request.state === 'pending' ? row.body : null;
  }
}
