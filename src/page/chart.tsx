/** Line charts. They share one cursor, and one zoom. */
import { signal, useSignalEffect } from '@preact/signals';
import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

import { filter } from './links.js';
import { Button, Figure, FilterChoice } from './controls.js';
import { nowMs } from './node.js';
import type { Sample } from './samples.js';
import { type Axis, type Heights, heightsOf, timesOf } from './scales.js';
import { repainted } from './theme.js';

/**
 * The column of the samples, its name, the class that sets its colour, and whether it is filled
 * below the line. Areas overlap; they are not stacked.
 */
export type Series = readonly [column: string, label: string, style: string, fill?: 'area'];

export interface ChartOptions {
  readonly title: string;
  readonly series: readonly Series[];
  readonly axis: Axis;
  /** Target of the link in the title. */
  readonly href?: string;
}

interface ChartOf extends ChartOptions {
  readonly samples: readonly Sample[];
  /** Interval of the samples. */
  readonly everyMs: number;
  /** A small chart has two numbers on its scale. */
  readonly isSmall?: boolean;
}

/** Missing samples before the line has a gap. */
const MISSING_MAX = 3;
/** The shown time span grows in steps with the samples, from the least one. */
const WINDOW_MS_MIN = 120_000;
const WINDOW_MS_USUAL = 600_000;
const WINDOW_STEP_MS = 30_000;

/** The time that the pointer is at, on any chart; `null`: on none. */
const pointed = signal<number | null>(null);
/** The time span that was dragged over, in milliseconds since 1970; `null`: up to now. */
const zoom = signal<readonly [from: number, until: number] | null>(null);

interface Window {
  readonly from: number;
  readonly until: number;
}

function windowOf(samples: readonly Sample[]): Window {
  if (zoom.value !== null) return { from: zoom.value[0], until: zoom.value[1] };
  const until = nowMs();
  const age = until - (samples[0]?.['at'] ?? until);
  const grown = Math.ceil(age / WINDOW_STEP_MS) * WINDOW_STEP_MS;
  const most = filter('span') === 'all' ? Infinity : Number(filter('span') || WINDOW_MS_USUAL);
  return { from: until - Math.min(most, Math.max(WINDOW_MS_MIN, grown)), until };
}

const SPANS = [
  ['120000', 'Last 2 min'],
  ['', 'Last 10 min'],
  ['all', 'All that is kept'],
] as const;

/** The time span of all charts, and a way back from a zoom. */
export function TimeSpan(): VNode {
  return (
    <div class="bar span">
      <span class="quiet">Drag over a chart to zoom in</span>
      {zoom.value === null ? (
        <FilterChoice name="span" label="Time span" options={SPANS} />
      ) : (
        <Button label="Reset zoom" style="button small" act={() => (zoom.value = null)} />
      )}
    </div>
  );
}

/** Whether there is anything to see on a chart. */
export function hasData({ series }: ChartOptions, samples: readonly Sample[]): boolean {
  return series.some(([column]) => samples.some((sample) => (sample[column] ?? 0) > 0));
}

export function Chart(given: ChartOf): VNode {
  const { title, series, axis, samples, everyMs, href } = given;
  const isSmall = given.isSmall === true;
  const gapMs = (MISSING_MAX + 1.5) * everyMs;
  const host = useRef<HTMLDivElement>(null);
  const span = windowOf(samples);
  const shown = samples.filter(
    ({ at }) => (at ?? 0) >= span.from - gapMs && (at ?? 0) <= span.until,
  );
  const values = shown.flatMap((one) => series.map(([column]) => one[column] ?? 0));
  const heights = heightsOf(axis, values, isSmall);
  const times =
    zoom.value === null
      ? timesOf(span.until - span.from, isSmall)
      : zoom.value.map((end, share) => [share, clock(end)] as const);
  const at = pointed.value;
  const near = nearest(shown, at ?? span.until, gapMs);
  const drawn = useRef<Drawing | null>(null);
  useLayoutEffect(() => {
    const { current } = host;
    if (current === null) return undefined;
    const drawing = new Drawing(current, series);
    drawn.current = drawing;
    return () => {
      drawing.close();
    };
  }, []);
  useLayoutEffect(() => {
    drawn.current?.show(shown, span, heights, times, gapMs);
  }, [samples, zoom.value, span.until, span.from]);
  useSignalEffect(() => {
    if (repainted.value > 0) drawn.current?.repaint();
  });
  return (
    <section class={`card chart${isSmall ? ' small' : ''}`} aria-label={title}>
      <header>
        <h2>{href === undefined ? title : <a href={href}>{title}</a>}</h2>
        <span class="chart-at">{at === null ? '' : clock(near?.['at'] ?? at)}</span>
      </header>
      <div class="figures">
        {series.map(([column, label, style]) => (
          <Figure
            key={column}
            value={axis.format(near?.[column] ?? null)}
            label={label}
            style={style}
          />
        ))}
      </div>
      <div class="axes" aria-hidden="true">
        <div class="heights">
          {heights.labels.map(([share, label]) => (
            <span key={label} style={{ top: `${100 - 100 * share}%` }}>
              {label}
            </span>
          ))}
        </div>
        <div class="plot" ref={host} />
        <div class="times-back">
          {times.map(([share, label]) => (
            // Centered below its line, except at the ends, where it must not stick out.
            <span
              key={share}
              style={{ left: `${share * 100}%`, transform: `translateX(-${edge(share) * 100}%)` }}
            >
              {label}
            </span>
          ))}
        </div>
      </div>
    </section>
  );
}

const clock = (ms: number): string => new Date(ms).toLocaleTimeString('en-GB');

/** The share of a label that is left of its position. */
function edge(share: number): number {
  if (share < 0.1) return 0;
  return share > 0.9 ? 1 : 0.5;
}

function nearest(samples: readonly Sample[], at: number, gapMs: number): Sample | undefined {
  let best: Sample | undefined;
  let distance = gapMs;
  for (const sample of samples) {
    const away = Math.abs((sample['at'] ?? 0) - at);
    if (away < distance) {
      distance = away;
      best = sample;
    }
  }
  return best;
}

/** The lines. All labels are outside, as text of the page. */
class Drawing {
  readonly #plot: uPlot;
  readonly #host: HTMLElement;
  readonly #series: readonly Series[];
  readonly #observer: ResizeObserver;
  #window: Window = { from: 0, until: 1 };
  #grid: readonly [times: readonly number[], heights: readonly number[]] = [[], []];

  constructor(host: HTMLElement, series: readonly Series[]) {
    this.#host = host;
    this.#series = series;
    this.#plot = new uPlot(this.#options(), [[], ...series.map(() => [])], host);
    this.#observer = new ResizeObserver(() => {
      this.#plot.setSize(this.#size);
    });
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
    const length = span.until - span.from;
    this.#grid = [
      times.map(([share]) => span.from + share * length).reverse(),
      heights.labels.map(([share]) => share),
    ];
    const lines = this.#series.map(([column]) => lineOf(samples, column, heights, gapMs));
    this.#plot.setData([samples.map(({ at }) => at ?? 0), ...lines]);
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
        bind: {
          dblclick: () => () => {
            zoom.value = null;
            return null;
          },
        },
      },
      hooks: {
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
