/** The figures of a service in lists, beside its workers: rates and stored requests. */
import type { FigureSource } from '../broker/listing.js';
import type { Label } from '../core/labels.js';
import type { DurableCounts, DurableFigures, DurableRates, ServiceFigures } from '../wire/mmi.js';
import type { TimeSeries } from './time-series.js';

/** The sources of the figures, where there are any. */
export interface FigureDeps {
  readonly labels: { of(shown: string): Label };
  readonly timeSeries: Pick<TimeSeries, 'ratesOf'>;
  /** `null`: this node stores nothing. */
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

export function serviceFigures({ labels, timeSeries, stored }: FigureDeps): FigureSource {
  return {
    of: (service, shown): ServiceFigures => {
      const rates = timeSeries.ratesOf(labels.of(shown));
      const counts = stored(service);
      const durable = rates?.durable ?? null;
      const isStored = counts !== null || durable !== null;
      return {
        plain: rates?.plain ?? null,
        durable: isStored ? durableFigures(counts ?? NOTHING_STORED, durable) : null,
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
  };
}
