/** The figures of a service in lists, beside its workers: rates and stored requests. */
import type { FigureSource } from '../../broker/listing.js';
import type {
  DurableCounts,
  DurableFigures,
  DurableRates,
  ServiceFigures,
} from '../../wire/mmi-answers.js';
import type { TimeSeries } from './time-series.js';

/** The sources of the figures. */
interface FigureDeps {
  readonly timeSeries: Pick<TimeSeries, 'plainOf' | 'durableOf'>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** `null`: it stores nothing for the service. */
  readonly stored: (service: Buffer) => DurableCounts | null;
}

const NOTHING_STORED: DurableCounts = {
  pending: 0,
  dispatched: 0,
  delayed: 0,
  retrying: 0,
  replied: 0,
  dead: 0,
  oldestMs: null,
};

export function serviceFigures({ timeSeries, now, stored }: FigureDeps): FigureSource {
  return {
    of: (service, counted): ServiceFigures => {
      const at = now();
      const counts = stored(service);
      const rates = timeSeries.durableOf(counted, at);
      const isStored = counts !== null || rates !== null;
      return {
        plain: timeSeries.plainOf(counted, at),
        durable: isStored ? durableFigures(counts ?? NOTHING_STORED, rates) : null,
      };
    },
  };
}

/**
 * Written field by field: a list has one of these for each of thousands of services, and spreading
 * two objects into a third takes fifty times as long.
 * @param rates `null`: the service has no counters of its own
 */
function durableFigures(counts: DurableCounts, rates: DurableRates | null): DurableFigures {
  const { pending, dispatched, delayed, retrying, replied, dead, oldestMs } = counts;
  return {
    pending,
    dispatched,
    delayed,
    retrying,
    replied,
    dead,
    oldestMs,
    acceptedPerSecond: rates?.acceptedPerSecond ?? null,
    repliesPerSecond: rates?.repliesPerSecond ?? null,
    failedAttemptsPerSecond: rates?.failedAttemptsPerSecond ?? null,
    deathsPerSecond: rates?.deathsPerSecond ?? null,
    p50Ms: rates?.p50Ms ?? null,
    p99Ms: rates?.p99Ms ?? null,
    maxMs: rates?.maxMs ?? null,
  };
}
