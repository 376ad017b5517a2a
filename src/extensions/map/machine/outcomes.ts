/**
 * What becomes of a batch once it is committed here and, if the replica says so, at the peer: its
 * changes reach the content, and are published (D50).
 */
import { compareNumbers } from '../../../wire/chp-client.js';
import type { Content } from './content.js';
import type { MapCounters } from './map-events.js';
import type { RecentUuids } from './recent-uuids.js';
import type { MapRecord } from './record.js';
import { presentOf, type Step } from './steps.js';

/** A batch that is committed. */
export interface CommittedBatch {
  readonly steps: readonly Step[];
  /** The changes were promised to both disks, and the peer may lack them. */
  readonly isDoubtful: boolean;
  /** Whether this node stopped serving: nothing of the batch is published. */
  readonly isUnpublished: boolean;
}

interface OutcomesDeps {
  readonly content: Content;
  readonly recent: RecentUuids;
  readonly counters: MapCounters;
  readonly sink: { publish(record: MapRecord, uuid: string): void };
}

export class Outcomes {
  readonly #deps: OutcomesDeps;
  /** What merges brought since the batch was given to the store, by key. */
  readonly merged = new Map<string, MapRecord>();

  constructor(deps: OutcomesDeps) {
    this.#deps = deps;
  }

  apply(batch: CommittedBatch, now: number): void {
    for (const step of batch.steps) this.#apply(step, batch, now);
    this.merged.clear();
  }

  #apply(step: Step, batch: CommittedBatch, now: number): void {
    const { intent, outcome, record, isWritten, basis } = step;
    const { content, counters, recent, sink } = this.#deps;
    // A node that does not serve has only what is stored. And a merge may have brought another record.
    if (
      !isWritten &&
      (batch.isUnpublished || content.records.get(record.key) !== presentOf(basis))
    ) {
      return;
    }
    const isTimed = outcome === 'applied' || outcome === 'renewed';
    const merged = this.merged.get(record.key);
    const isOverruled = merged !== undefined && compareNumbers(merged, record) > 0;
    if (!isOverruled) {
      const writer = intent.kind === 'set' ? (intent.writer.key ?? intent.writer.address) : null;
      const before = content.records.get(record.key);
      if (isTimed) content.apply(record, now, writer);
      else content.applyUntimed(record, writer);
      if (isWritten || outcome === 'renewed') recent.add(record, before, now, isWritten);
    }
    if (outcome === 'repeated') counters.repeated++;
    else if (outcome === 'renewed') counters.updates.applied++;
    else if (outcome !== 'announced') counters.updates[outcome]++;
    // Whoever sees its uuid takes the change for safe. Its writer sends an overruled one again.
    const isSafe = !batch.isDoubtful && !isOverruled;
    if (!batch.isUnpublished) sink.publish(record, isSafe ? record.uuid : '');
  }
}
