/** The lines of a chart, on a canvas. */
import { signal } from '@preact/signals';
import uPlot from 'uplot';

import { RESTARTED, type Sample } from './samples.js';
import type { Heights } from './scales.js';

/**
 * The column of the samples, its name, the class that sets its colour, and whether it is filled
 * below the line. Areas overlap; they are not stacked.
 */
export type Series = readonly [column: string, label: string, style: string, fill?: 'area'];

/** The time that the pointer is at, on any chart; `null`: on none. */
export const pointed = signal<number | null>(null);
/** The time span that was dragged over, in milliseconds since 1970; `null`: up to now. */
export const zoom = signal<readonly [from: number, until: number] | null>(null);

export interface Window {
  readonly from: number;
  readonly until: number;
}

/** The lines. All labels are outside, as text of the page. */
export class Drawing {
  readonly #plot: uPlot;
  readonly #host: HTMLElement;
  readonly #series: readonly Series[];
  readonly #observer: ResizeObserver;
  #window: Window = { from: 0, until: 1 };
  #restarts: readonly number[] = [];
  #grid: readonly [times: readonly number[], heights: readonly number[]] = [[], []];

  constructor(host: HTMLElement, series: readonly Series[]) {
    this.#host = host;
    this.#series = series;
    this.#plot = new uPlot(this.#options(), [[], ...series.map(() => [])], host);
    this.#observer = new ResizeObserver(() => this.#plot.setSize(this.#size));
    this.#observer.observe(host);
  }

  get #size(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.#host;
    return { width: Math.max(1, clientWidth), height: Math.max(1, clientHeight) };
  }

  show(
    samples: readonly Sample[],
    span: Window,
    heights: Heights,
    times: readonly (readonly [number, string])[],
    gapMs: number,
  ): void {
    this.#window = span;
    const rows = withGaps(samples, gapMs);
    const length = span.until - span.from;
    this.#grid = [
      times.map(([share]) => span.from + share * length).reverse(),
      heights.labels.map(([share]) => share),
    ];
    const lines = this.#series.map(([column]) => lineOf(rows, column, heights, gapMs));
    this.#restarts = samples.flatMap((sample) =>
      (sample[RESTARTED] ?? 0) > 0 ? [sample['at'] ?? 0] : [],
    );
    this.#plot.setData([rows.map(({ at }) => at ?? 0), ...lines]);
  }

  repaint(): void {
    this.#plot.redraw(false);
  }

  close(): void {
    this.#observer.disconnect();
    this.#plot.destroy();
    pointed.value = null;
  }

  /** The colour of a line is that of its figure's mark, which follows the theme. */
  #colour(index: number, opacity = 1): string {
    const card = this.#host.closest('.chart');
    const label = card?.querySelectorAll('.figure .label')[index];
    if (label === undefined) return 'transparent';
    const colour = getComputedStyle(label, '::before').backgroundColor;
    return opacity === 1 ? colour : colour.replace(/^rgb\((.*)\)$/, `rgb($1, ${opacity})`);
  }

  /** A line where the node was restarted. */
  #drawRestarts(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.fillStyle = getComputedStyle(this.#host).color;
    for (const at of this.#restarts) {
      const left = Math.round(plot.valToPos(at, 'x', true));
      ctx.fillRect(left, bbox.top, devicePixelRatio, bbox.height);
    }
  }

  #options(): uPlot.Options {
    const line = (): string => getComputedStyle(this.#host).borderBottomColor;
    const axis = (at: 0 | 1): uPlot.Axis => ({
      size: 0,
      gap: 0,
      splits: () => [...this.#grid[at]],
      values: (_plot, splits) => splits.map(() => ''),
      grid: { stroke: line, width: 1, dash: [2, 4] },
      ticks: { show: false },
    });
    return {
      ...this.#size,
      padding: [2, 0, 1, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => [this.#window.from, this.#window.until] },
        y: { range: () => [0, 1] },
      },
      axes: [axis(0), axis(1)],
      series: [
        {},
        ...this.#series.map(([, , , fill], index): uPlot.Series => ({
          stroke: () => this.#colour(index),
          width: 1.75,
          points: { show: false },
          ...(fill === 'area' ? { fill: () => this.#colour(index, 0.13) } : {}),
        })),
      ],
      cursor: {
        y: false,
        points: { size: 7 },
        drag: { x: true, y: false, setScale: false },
        // A selection is not passed on: the zoom is.
        sync: {
          key: 'charts',
          filters: { pub: (type) => /^mouse(move|leave)$/.test(type), sub: () => true },
        },
        bind: { dblclick: () => () => (zoom.value = null) },
      },
      hooks: {
        draw: [(plot) => this.#drawRestarts(plot)],
        setCursor: [
          ({ cursor, data }) => {
            pointed.value = data[0][cursor.idx ?? -1] ?? null;
          },
        ],
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            zoom.value = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
            plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          },
        ],
      },
    };
  }
}

/** Adds a sample without values where samples are missing for too long. */
function withGaps(samples: readonly Sample[], gapMs: number): readonly Sample[] {
  return samples.flatMap((sample, index) => {
    const at = sample['at'] ?? 0;
    const next = samples[index + 1]?.['at'] ?? at;
    return next - at > gapMs + 1 ? [sample, { at: at + 1 }] : [sample];
  });
}

/** `undefined`: the line goes on to the next point; `null`: it has a gap. */
function lineOf(
  samples: readonly Sample[],
  column: string,
  heights: Heights,
  gapMs: number,
): (number | null | undefined)[] {
  // A line along the bottom shows nothing, and covers other lines.
  if (!samples.some((one) => (one[column] ?? 0) > 0)) return samples.map(() => null);
  const line: (number | null | undefined)[] = [];
  let next: number | null = null;
  for (const sample of [...samples].reverse()) {
    const [at, value] = [sample['at'] ?? 0, sample[column] ?? null];
    const isGap = next === null || next - at > gapMs;
    line.push(value === null ? (isGap ? null : undefined) : heights.of(value));
    if (value !== null) next = at;
  }
  return line.reverse();
}
