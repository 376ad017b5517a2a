/** What lists tell of a service beside its workers: how fast it is, and what is stored of it. */
import type { FigureSource } from '../broker/listing.js';
import type { Label } from '../core/labels.js';
import type { DurableCounts, DurableRates, ServiceFigures } from '../wire/mmi.js';
import type { Pictures } from './pictures.js';

/** Where it is known. */
export interface FigureParts {
  readonly labels: { of(shown: string): Label };
  readonly pictures: Pick<Pictures, 'ratesOf'>;
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

const NOT_COUNTED: DurableRates = {
  acceptedPerSecond: null,
  repliesPerSecond: null,
  failedAttemptsPerSecond: null,
  deathsPerSecond: null,
  p50Ms: null,
  p99Ms: null,
};

export function serviceFigures({ labels, pictures, stored }: FigureParts): FigureSource {
  return {
    of: (service, shown): ServiceFigures => {
      const rates = pictures.ratesOf(labels.of(shown));
      const counts = stored(service);
      const durable = rates?.durable ?? null;
      const isStored = counts !== null || durable !== null;
      return {
        plain: rates?.plain ?? null,
        durable: isStored ? { ...(counts ?? NOTHING_STORED), ...(durable ?? NOT_COUNTED) } : null,
      };
    },
  };
}
