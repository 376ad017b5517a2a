/** Line charts. They share one cursor, and one zoom. */
import { useSignalEffect } from '@preact/signals';
import type { VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { filter } from './address.js';
import { Button, Figure, FilterChoice } from './controls.js';
import { Drawing, pointed, type Series, type Window, zoom } from './drawing.js';
import { momentAt } from './format.js';
import { nowMs } from './node.js';
import { usePolled } from './poll.js';
import { dayOf, RESTARTED, type Sample } from './samples.js';
import { type Axis, heightsOf, timesOf } from './scales.js';
import { repainted } from './theme.js';

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
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** What charts show of the samples, and their interval: with the last day, that of the node's file. */
export function useSpan(
  service: string | null,
  now: readonly Sample[],
  everyMs: number,
): { readonly samples: readonly Sample[]; readonly everyMs: number } {
  const isDay = filter('span') === 'day';
  const about = isDay ? `day ${service ?? ''}` : '';
  const load = (): Promise<readonly Sample[]> => (isDay ? dayOf(service) : Promise.resolve([]));
  const { answer } = usePolled(about, load, MINUTE_MS);
  return isDay ? { samples: answer ?? [], everyMs: MINUTE_MS } : { samples: now, everyMs };
}

function windowOf(samples: readonly Sample[]): Window {
  if (zoom.value !== null) return { from: zoom.value[0], until: zoom.value[1] };
  const until = nowMs();
  const age = until - (samples[0]?.['at'] ?? until);
  const grown = Math.ceil(age / WINDOW_STEP_MS) * WINDOW_STEP_MS;
  if (filter('span') === 'day') return { from: until - DAY_MS, until };
  const most = filter('span') === 'all' ? Infinity : Number(filter('span') || WINDOW_MS_USUAL);
  return { from: until - Math.min(most, Math.max(WINDOW_MS_MIN, grown)), until };
}

const SPANS = [
  ['120000', 'Last 2 min'],
  ['', 'Last 10 min'],
  ['all', 'All that is kept'],
  ['day', 'Last day'],
] as const;

/** The time span of all charts, and a way back from a zoom. */
export function TimeSpan({ samples }: { samples: readonly Sample[] }): VNode {
  const restart = samples.findLast((sample) => (sample[RESTARTED] ?? 0) > 0)?.['at'] ?? null;
  return (
    <div class="bar span">
      <span class="quiet">
        {restart === null ? '' : `The node was restarted at ${momentAt(restart)}. `}
        Drag over a chart to zoom in
      </span>
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
    return () => drawing.close();
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
