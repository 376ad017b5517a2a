/**
 * The last ten minutes of each service, for the charts of its page. Only services with a label in
 * the metrics are kept, which bounds the memory: 12 KiB for each of `metrics.services`.
 */
import type { CountedService } from '../../core/counted-services.js';
import type { SampleBlock } from '../ports.js';
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
  'maxMs',
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
  'toReplyMaxMs',
  'open',
  'dead',
] as const;

export const SERVICE_COLUMNS = ['at', ...VALUES] as const;

/** A sample of one service. `null`: nothing to measure. */
export type ServiceSample = Readonly<Record<(typeof VALUES)[number], number | null>>;

export class ServiceSamples {
  /** When each sample was taken. Number `n` is at `n % SAMPLES_MAX`, here and in the rows. */
  readonly #at = new Float64Array(SAMPLES_MAX);
  /** The values of all its samples; NaN for `null`. Created when the service is first used. */
  readonly #rows = new Map<CountedService, Float32Array>();
  /** The number of the next sample. */
  #next = 0;

  /**
   * @param wall milliseconds since 1970
   * @param samples of every service with a label
   */
  add(wall: number, samples: Iterable<readonly [CountedService, ServiceSample]>): void {
    for (const service of this.#rows.keys()) {
      if (!service.hasLabel) this.#rows.delete(service);
    }
    const slot = this.#next++ % SAMPLES_MAX;
    this.#at[slot] = wall;
    for (const [service, sample] of samples) {
      const row = this.#rows.get(service) ?? (isIdle(sample) ? null : this.#begin(service));
      if (row === null) continue;
      for (const [index, name] of VALUES.entries()) {
        row[slot * VALUES.length + index] = sample[name] ?? NaN;
      }
    }
  }

  /**
   * The samples of one service from number `since` on that are still kept.
   * @param service `null`: one that is not known
   */
  of(service: CountedService | null, since: number): SampleBlock {
    const row = service === null ? undefined : this.#rows.get(service);
    const next = this.#next;
    if (row === undefined) return { columns: SERVICE_COLUMNS, samples: [], next };
    const first = Math.max(0, next - SAMPLES_MAX);
    // A higher number comes from an earlier process: its reader has none of these.
    const from = since > next ? first : Math.max(first, since);
    const samples = Array.from({ length: next - from }, (_, index) => {
      const slot = (from + index) % SAMPLES_MAX;
      const values = row.subarray(slot * VALUES.length, (slot + 1) * VALUES.length);
      return [this.#at[slot] ?? 0, ...Array.from(values, shown)];
    });
    return { columns: SERVICE_COLUMNS, samples, next };
  }

  /** The latest samples of each service that has any. */
  *latest(count: number): Generator<readonly [service: string, block: SampleBlock]> {
    for (const service of this.#rows.keys()) {
      yield [service.shown, this.of(service, Math.max(0, this.#next - count))];
    }
  }

  #begin(service: CountedService): Float32Array {
    const row = new Float32Array(SAMPLES_MAX * VALUES.length).fill(NaN);
    this.#rows.set(service, row);
    return row;
  }
}

function isIdle(sample: ServiceSample): boolean {
  return VALUES.every((name) => (sample[name] ?? 0) === 0);
}

function shown(value: number): number | null {
  return Number.isNaN(value) ? null : rounded(value);
}
