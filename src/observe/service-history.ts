/**
 * The last ten minutes of each service, for the charts of its page. Only services with a label of
 * their own are kept, which bounds the memory: 11 KiB per label, 201 labels.
 */
import { type Label, LABELS_MAX } from '../core/labels.js';
import type { SampleBlock } from '../http/ports.js';
import { rounded } from './rates.js';

/** Ten minutes, at one sample every four seconds. */
const SAMPLES_MAX = 150;

const VALUES = [
  'received',
  'replied',
  'failed',
  'redelivered',
  'p50Ms',
  'p99Ms',
  'queued',
  'inFlight',
  'workersWaiting',
  'workersBusy',
  'accepted',
  'completed',
  'failedAttempts',
  'deaths',
  'toReplyP50Ms',
  'toReplyP99Ms',
  'open',
  'dead',
] as const;

const COLUMNS = ['at', ...VALUES] as const;

/** One service between two samples. `null`: nothing to measure. */
export type ServiceSample = Readonly<Record<(typeof VALUES)[number], number | null>>;

export class ServiceHistory {
  /** When each sample was taken. Number `n` is at `n % SAMPLES_MAX`, here and in the rows. */
  readonly #at = new Float64Array(SAMPLES_MAX);
  /**
   * By label, the values of all its samples; NaN for `null`. Created when the service is first
   * used.
   */
  readonly #rows: (Float32Array | undefined)[] = new Array<undefined>(LABELS_MAX);
  /** The number of the next sample. */
  #next = 0;

  /**
   * @param wall milliseconds since 1970
   * @param samples of every label; once given, a label is given every time
   */
  add(wall: number, samples: Iterable<readonly [Label, ServiceSample]>): void {
    const slot = this.#next++ % SAMPLES_MAX;
    this.#at[slot] = wall;
    for (const [label, sample] of samples) {
      const row = this.#rows[label] ?? (isIdle(sample) ? null : this.#begin(label));
      if (row === null) continue;
      for (const [index, name] of VALUES.entries()) {
        row[slot * VALUES.length + index] = sample[name] ?? NaN;
      }
    }
  }

  /** The samples of one service from number `since` on that are still kept. */
  of(label: Label, since: number): SampleBlock {
    const row = this.#rows[label];
    const next = this.#next;
    if (row === undefined) return { columns: COLUMNS, samples: [], next };
    const first = Math.max(0, next - SAMPLES_MAX);
    // A higher number comes from an earlier process: its reader has none of these.
    const from = since > next ? first : Math.max(first, since);
    const samples = Array.from({ length: next - from }, (_, index) => {
      const slot = (from + index) % SAMPLES_MAX;
      const values = row.subarray(slot * VALUES.length, (slot + 1) * VALUES.length);
      return [this.#at[slot] ?? 0, ...Array.from(values, shown)];
    });
    return { columns: COLUMNS, samples, next };
  }

  #begin(label: Label): Float32Array {
    const row = new Float32Array(SAMPLES_MAX * VALUES.length).fill(NaN);
    this.#rows[label] = row;
    return row;
  }
}

function isIdle(sample: ServiceSample): boolean {
  return VALUES.every((name) => (sample[name] ?? 0) === 0);
}

function shown(value: number): number | null {
  return Number.isNaN(value) ? null : rounded(value);
}
