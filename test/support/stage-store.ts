/**
 * A store on a stage: the state ladder (D17) on plain maps. Its calls wait until it is told to
 * answer, so that a script controls what happens in between; a crash discards waiting calls.
 */
import { present } from '../../src/core/assert.js';
import type {
  Change,
  ChangeResult,
  Completion,
  Found,
  Recovered,
  RequestUuid,
  Store,
  StoreCounts,
  StoredContent,
  StoredRequest,
  StoreFailure,
  Transaction,
} from '../../src/store/store.js';
import type { TitanicReads } from '../../src/titanic/machine/requests/context.js';
import type { Entry } from '../../src/testing/memory-rows.js';
import { MemoryNodeTables } from './memory-node-tables.js';

/** The number of pending requests reported at once. */
const PIECE_REQUESTS = 3;

/** The content of the disk: survives the process. */
export class StageDisk {
  readonly tables = new MemoryNodeTables();
  /** State of the process that uses it. */
  recovered: Recovered = this.tables.open();
  /** How many requests it lists at a time. */
  piece = PIECE_REQUESTS;

  get counts(): StoreCounts {
    return this.tables.counts;
  }

  get pending(): StoredRequest[] {
    return this.tables.pending();
  }

  get rows(): readonly Entry[] {
    return this.tables.entries;
  }

  row(uuid: RequestUuid): Entry | undefined {
    return this.tables.entry(uuid);
  }

  find(uuid: RequestUuid, replyBytesMax = Infinity): Found {
    return this.tables.lookUp(uuid, replyBytesMax);
  }

  /** As if it had been part of the last transaction. */
  apply(change: Change): ChangeResult {
    const again = {
      number: this.tables.last,
      tombstones: 'none',
      holds: null,
      peerHolds: 0,
    } as const;
    return present(this.tables.commit(again, [change])[0], 'a result');
  }
}

/** A call to the store. */
export type Asked =
  | {
      readonly kind: 'commit';
      readonly transaction: Transaction;
      readonly changes: readonly Change[];
      readonly completion: Completion<readonly ChangeResult[]>;
    }
  | {
      readonly kind: 'list';
      readonly after: number;
      readonly completion: Completion<readonly StoredRequest[]>;
    }
  | {
      readonly kind: 'load';
      readonly uuids: readonly RequestUuid[];
      readonly completion: Completion<readonly (StoredContent | null)[]>;
    }
  | {
      readonly kind: 'lookUp';
      readonly uuid: RequestUuid;
      readonly replyBytesMax: number;
      readonly completion: Completion<Found>;
    };

export class StageStore implements TitanicReads, Pick<Store, 'commit'> {
  readonly disk: StageDisk;
  /** Calls that wait for an answer, in order. */
  readonly asked: Asked[] = [];
  /** All changes ever requested. */
  readonly changes: Change[] = [];
  /** While set, no commit succeeds. */
  failure: StoreFailure | null = null;
  /** While set, every read fails. */
  readFailure: StoreFailure | null = null;
  /** Its machine has forgotten its earlier calls. */
  mayOverlap = false;
  /** How many batches it takes at a time. */
  batchesMax = 1;
  /** Told of what it holds after each commit. */
  counted: (counts: StoreCounts) => void = () => undefined;
  #committing = 0;
  #last = 0;

  constructor(disk: StageDisk) {
    this.disk = disk;
    disk.recovered = disk.tables.open();
  }

  commit(
    transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void {
    if (this.#committing >= this.batchesMax && !this.mayOverlap) {
      throw new Error('a batch before the end of another');
    }
    if (changes.length === 0) throw new Error('an empty batch');
    if (transaction.number <= this.#last) throw new Error('a number that was used');
    this.#committing++;
    this.#last = transaction.number;
    this.changes.push(...changes);
    this.asked.push({ kind: 'commit', transaction, changes, completion });
  }

  list(after: number, completion: Completion<readonly StoredRequest[]>): void {
    this.asked.push({ kind: 'list', after, completion });
  }

  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void {
    this.asked.push({ kind: 'load', uuids, completion });
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number, completion: Completion<Found>): void {
    this.asked.push({ kind: 'lookUp', uuid, replyBytesMax, completion });
  }

  /** Answers one call. */
  answer(asked: Asked): void {
    this.asked.splice(this.asked.indexOf(asked), 1);
    const isCommit = asked.kind === 'commit';
    if (isCommit) this.#committing--;
    const failure = isCommit ? this.failure : this.readFailure;
    if (failure !== null) {
      asked.completion.failed(failure);
      return;
    }
    switch (asked.kind) {
      case 'commit': {
        const results = this.write(asked);
        this.counted(this.disk.counts);
        asked.completion.done(results);
        return;
      }
      case 'list':
        asked.completion.done(this.#listed(asked.after));
        return;
      case 'load':
        asked.completion.done(asked.uuids.map((uuid) => this.#body(uuid)));
        return;
      case 'lookUp':
        asked.completion.done(this.disk.find(asked.uuid, asked.replyBytesMax));
    }
  }

  /** Writes a batch to the disk, even if no event follows. */
  write({ transaction, changes }: Extract<Asked, { kind: 'commit' }>): ChangeResult[] {
    return this.disk.tables.commit(transaction, changes);
  }

  #listed(after: number): readonly StoredRequest[] {
    return this.disk.tables.list(after, this.disk.piece);
  }

  #body(uuid: RequestUuid): StoredContent | null {
    return this.disk.tables.body(uuid);
  }
}
