/** The charts of the last ten minutes of one service. */
import type { ServiceHistory } from '../admin/api/node-answers.js';
import { get, withQuery } from './api.js';
import { Chart } from './chart.js';
import { el } from './dom.js';
import { Samples } from './samples.js';
import { COUNTS, LATENCIES, LATENCY, RATES } from './scales.js';

/** The number and interval of the samples that the node keeps of a service. */
const SAMPLES_MAX = 150;
const EVERY_MS = 4000;
const NO_SAMPLES =
  'No charts: this service has no label in the metrics at present. See metrics.services.';

function plainCharts(): Chart[] {
  return [
    new Chart({
      title: 'Requests per second',
      series: [
        { column: 'received', label: 'in', style: 'blue', isArea: true },
        { column: 'replied', label: 'replied', style: 'green' },
        { column: 'failed', label: 'failed', style: 'red' },
        { column: 'redelivered', label: 'redelivered', style: 'amber' },
      ],
      ...RATES,
      everyMs: EVERY_MS,
    }),
    new Chart({ ...LATENCY, everyMs: EVERY_MS }),
    new Chart({
      title: 'Queue',
      series: [
        { column: 'queued', label: 'queued', style: 'amber', isArea: true },
        { column: 'inFlight', label: 'in flight', style: 'blue' },
      ],
      ...COUNTS,
      everyMs: EVERY_MS,
    }),
    new Chart({
      title: 'Worker states',
      series: [
        { column: 'workersWaiting', label: 'idle', style: 'green', isArea: true },
        { column: 'workersBusy', label: 'busy', style: 'blue' },
      ],
      ...COUNTS,
      leastTop: 4,
      everyMs: EVERY_MS,
    }),
  ];
}

function durableCharts(): Chart[] {
  return [
    new Chart({
      title: 'Durable per second',
      series: [
        { column: 'accepted', label: 'accepted', style: 'blue', isArea: true },
        { column: 'completed', label: 'replied', style: 'green' },
        { column: 'failedAttempts', label: 'failed attempts', style: 'amber' },
        { column: 'deaths', label: 'deaths', style: 'red' },
      ],
      ...RATES,
      everyMs: EVERY_MS,
    }),
    new Chart({
      title: 'Durable: acceptance to reply',
      series: [
        { column: 'toReplyP99Ms', label: 'p99', style: 'amber' },
        { column: 'toReplyP50Ms', label: 'p50', style: 'green', isArea: true },
      ],
      ...LATENCIES,
      everyMs: EVERY_MS,
    }),
    new Chart({
      title: 'Durable unanswered',
      series: [
        { column: 'open', label: 'not replied yet', style: 'blue', isArea: true },
        { column: 'dead', label: 'dead', style: 'red' },
      ],
      ...COUNTS,
      everyMs: EVERY_MS,
    }),
  ];
}

export class ServiceCharts {
  readonly element: HTMLElement;
  readonly #service: string;
  readonly #samples = new Samples(SAMPLES_MAX);
  readonly #plain = plainCharts();
  readonly #durable = durableCharts();
  readonly #plainRow: HTMLElement;
  readonly #durableRow: HTMLElement;
  readonly #none = el('p', { class: 'quiet', hidden: true }, NO_SAMPLES);

  constructor(service: string) {
    this.#service = service;
    this.#plainRow = el('div', { class: 'grid wide', hidden: true }, ...this.#plain.map(elementOf));
    this.#durableRow = el('div', { class: 'grid wide' }, ...this.#durable.map(elementOf));
    this.element = el('div', { class: 'stack' }, this.#none, this.#plainRow, this.#durableRow);
  }

  /**
   * Loads new samples and draws them.
   * @param nowMs the right end: milliseconds since 1970, by the node's clock
   * @throws ApiError
   */
  async load(nowMs: () => number): Promise<void> {
    const since = String(this.#samples.next);
    const query = { service: this.#service, since };
    const block = await get<ServiceHistory>(withQuery('/api/v1/services/history', query));
    if (!this.#samples.take(block)) {
      await this.load(nowMs);
      return;
    }
    const { all } = this.#samples;
    this.#none.hidden = block.kept;
    this.#plainRow.hidden = all.length === 0;
    this.#durableRow.hidden = !all.some((sample) => (sample['open'] ?? null) !== null);
    for (const chart of [...this.#plain, ...this.#durable]) chart.show(all, nowMs());
  }
}

function elementOf({ element }: Chart): HTMLElement {
  return element;
}
