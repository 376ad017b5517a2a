/** What lists tell of a service beside its workers: how fast it is, and what is stored of it. */
import type { FigureSource } from '../broker/listing.js';
import type { Label } from '../core/labels.js';
import type { DurableCounts, DurableFigures, DurableRates, ServiceFigures } from '../wire/mmi.js';
import type { TimeSeries } from './time-series.js';

/** Where it is known. */
export interface FigureDeps {
  readonly labels: { of(shown: string): Label };
  readonly timeSeries: Pick<TimeSeries, 'ratesOf'>;
  /** `null`: nothing is stored here. */
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
 * Field by field: a list has one of these for each of thousands of services, and to spread two objects
 * into a third takes fifty times as long.
 * @param rates `null`: it is not counted by itself
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
