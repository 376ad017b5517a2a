/** A line chart of the last minutes. Pointing at it shows the values of that moment. */
import { attribute, el, svg, text } from './dom.js';
import { NONE } from './format.js';
import type { Sample } from './samples.js';
import type { Scale } from './scales.js';

export interface Series {
  /** The column of the samples. */
  readonly column: string;
  readonly label: string;
  /** The class that sets its colour. */
  readonly style: string;
  /** Filled below the line. Areas overlap; they are not stacked. */
  readonly isArea?: boolean;
}

interface ChartOptions {
  readonly title: string;
  readonly series: readonly Series[];
  readonly format: (value: number | null) => string;
  readonly scale: Scale;
  /** The smallest maximum of the scale, so that noise does not fill the chart. */
  readonly leastTop: number;
  /** Interval of the samples; default: one second. */
  readonly everyMs?: number;
  /** A small chart has two numbers on its scale. */
  readonly isSmall?: boolean;
  /** Target of the link in the title. */
  readonly href?: string;
}

const WIDTH = 600;
const HEIGHT = 100;
const EVERY_MS = 1000;
/** Missing samples before the line has a gap. */
const MISSING_MAX = 3;
/** The shown time span grows in steps with the samples, between these limits. */
const WINDOW_MS_MIN = 120_000;
const WINDOW_MS_MAX = 600_000;
const WINDOW_STEP_MS = 30_000;
const MINUTE_MS = 60_000;
/** Windows of more minutes have a label every other minute. */
const STEPS_MAX = 4;

export class Chart {
  readonly element: HTMLElement;
  readonly #options: ChartOptions;
  /** A longer time between two samples is a gap. */
  readonly #gapMs: number;
  readonly #paths: { readonly line: SVGPathElement; readonly area: SVGPathElement | null }[] = [];
  readonly #values: HTMLElement[] = [];
  readonly #times: TimeScale;
  readonly #heights: readonly HTMLElement[];
  readonly #at = el('span', { class: 'chart-at' });
  readonly #cross = el('div', { class: 'chart-cross', hidden: true });
  readonly #plot: HTMLElement;
  #samples: readonly Sample[] = [];
  #untilMs = 0;
  #windowMs = WINDOW_MS_MIN;
  /** Position of the pointer, 0 to 1; `null`: not on the chart. */
  #pointed: number | null = null;

  constructor(options: ChartOptions) {
    this.#options = options;
    this.#gapMs = (MISSING_MAX + 1.5) * (options.everyMs ?? EVERY_MS);
    const picture = svg('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    });
    const isSmall = options.isSmall === true;
    const steps = isSmall ? [1] : [0.5, 1];
    for (const share of steps) {
      const y = heightOf(share);
      picture.append(svg('line', { class: 'gridline', x1: 0, x2: WIDTH, y1: y, y2: y }));
    }
    this.#times = new TimeScale(picture, isSmall);
    this.#heights = [0, ...steps].map((share) => {
      const label = el('span', {});
      label.dataset['share'] = String(share);
      label.style.top = `${heightOf(share)}%`;
      return label;
    });
    for (const { style, isArea } of options.series) {
      const area = isArea === true ? svg('path', { class: `area ${style}` }) : null;
      const line = svg('path', { class: `line ${style}` });
      if (area !== null) picture.append(area);
      picture.append(line);
      this.#paths.push({ line, area });
    }
    this.#plot = el('div', { class: 'plot' }, picture, this.#cross);
    this.element = this.#frame();
    this.#follow();
  }

  #frame(): HTMLElement {
    const { title, series, isSmall, href } = this.#options;
    const legend = series.map(({ label, style }) => {
      const value = el('strong', { class: 'value' }, NONE);
      this.#values.push(value);
      return el('div', { class: `figure ${style}` }, value, el('span', { class: 'label' }, label));
    });
    const heading = href === undefined ? title : el('a', { href }, title);
    return el(
      'section',
      { class: isSmall === true ? 'card chart small' : 'card chart', 'aria-label': title },
      el('header', {}, el('h2', {}, heading), this.#at),
      el('div', { class: 'figures' }, ...legend),
      el(
        'div',
        { class: 'axes' },
        el('div', { class: 'heights', 'aria-hidden': 'true' }, ...this.#heights),
        this.#plot,
        this.#times.element,
      ),
    );
  }

  #follow(): void {
    const move = (event: PointerEvent): void => {
      const { left, width } = this.#plot.getBoundingClientRect();
      this.#pointed = Math.min(1, Math.max(0, (event.clientX - left) / width));
      this.#read();
    };
    this.#plot.addEventListener('pointermove', move);
    this.#plot.addEventListener('pointerdown', move);
    this.#plot.addEventListener('pointerleave', () => {
      this.#pointed = null;
      this.#read();
    });
  }

  /** @param untilMs the right end: milliseconds since 1970, by the node's clock */
  show(samples: readonly Sample[], untilMs: number): void {
    const age = untilMs - (samples[0]?.['at'] ?? untilMs);
    const grown = Math.ceil(age / WINDOW_STEP_MS) * WINDOW_STEP_MS;
    this.#windowMs = Math.min(WINDOW_MS_MAX, Math.max(WINDOW_MS_MIN, grown));
    this.#untilMs = untilMs;
    const from = untilMs - this.#windowMs;
    this.#samples = samples.filter(({ at }) => (at ?? 0) >= from - this.#gapMs);
    const { series, leastTop, scale } = this.#options;
    const values = this.#samples.flatMap((one) => series.map(({ column }) => one[column] ?? 0));
    const top = scale.top(Math.max(leastTop, ...values));
    for (const [index, { column }] of series.entries()) {
      const { line, area } = this.#paths[index] ?? {};
      // A line along the bottom shows nothing, and covers other lines.
      const isFlat = !this.#samples.some((one) => (one[column] ?? 0) > 0);
      const runs = isFlat ? [] : this.#runs(column, top);
      if (line !== undefined) attribute(line, 'd', runs.map(lineOf).join(''));
      if (area !== undefined && area !== null) attribute(area, 'd', runs.map(areaOf).join(''));
    }
    for (const label of this.#heights) {
      const value = Number(label.dataset['share']) * top;
      text(label, value === 0 ? '0' : scale.words(value));
    }
    this.#times.show(this.#windowMs);
    this.#read();
  }

  /** Runs of points without a gap between them. */
  #runs(column: string, top: number): [x: number, y: number][][] {
    const runs: [number, number][][] = [];
    let before = -Infinity;
    for (const sample of this.#samples) {
      const value = sample[column] ?? null;
      const at = sample['at'] ?? 0;
      if (value === null) continue;
      if (at - before > this.#gapMs) runs.push([]);
      before = at;
      const x = WIDTH * (1 - (this.#untilMs - at) / this.#windowMs);
      runs.at(-1)?.push([x, heightOf(value / top)]);
    }
    return runs;
  }

  /** Shows the values at the pointer, or the latest ones. */
  #read(): void {
    const pointed = this.#pointed;
    const at = this.#untilMs - this.#windowMs * (1 - (pointed ?? 1));
    const near = pointed === null ? this.#newest() : this.#nearest(at);
    for (const [index, { column }] of this.#options.series.entries()) {
      const value = this.#values[index];
      if (value !== undefined) text(value, this.#options.format(near?.[column] ?? null));
    }
    attribute(this.#cross, 'hidden', pointed === null);
    if (pointed !== null) this.#cross.style.left = `${pointed * 100}%`;
    const when = new Date(near?.['at'] ?? at).toLocaleTimeString('en-GB');
    text(this.#at, pointed === null ? '' : when);
  }

  /** The latest sample, unless it is too old. */
  #newest(): Sample | undefined {
    const newest = this.#samples.at(-1);
    return this.#untilMs - (newest?.['at'] ?? 0) > this.#gapMs ? undefined : newest;
  }

  #nearest(at: number): Sample | undefined {
    let best: Sample | undefined;
    let distance = this.#gapMs;
    for (const sample of this.#samples) {
      const away = Math.abs((sample['at'] ?? 0) - at);
      if (away < distance) {
        distance = away;
        best = sample;
      }
    }
    return best;
  }
}

/** The labels below the chart: minutes before now. */
class TimeScale {
  readonly element: HTMLElement = el('div', { class: 'times-back', 'aria-hidden': 'true' });
  readonly #picture: SVGElement;
  readonly #isSmall: boolean;
  readonly #lines: SVGElement[] = [];
  #windowMs = 0;

  constructor(picture: SVGElement, isSmall: boolean) {
    this.#picture = picture;
    this.#isSmall = isSmall;
  }

  show(windowMs: number): void {
    if (windowMs === this.#windowMs) return;
    this.#windowMs = windowMs;
    for (const line of this.#lines.splice(0)) line.remove();
    const minutes = windowMs / MINUTE_MS;
    const whole = Math.floor(minutes);
    const step = this.#isSmall ? whole : minutes > STEPS_MAX ? 2 : 1;
    const labels: HTMLElement[] = [];
    for (let back = 0; back <= minutes; back += step) {
      const share = 1 - back / minutes;
      const label = el('span', {}, back === 0 ? 'now' : `−${back} min`);
      // Centered below its line, except at the ends, where it must not stick out.
      label.style.left = `${share * 100}%`;
      label.style.transform = `translateX(-${edge(share) * 100}%)`;
      labels.push(label);
      if (back === 0) continue;
      const x = share * WIDTH;
      const line = svg('line', { class: 'gridline', x1: x, x2: x, y1: 0, y2: HEIGHT });
      this.#lines.push(line);
      this.#picture.prepend(line);
    }
    this.element.replaceChildren(...labels);
  }
}

/** The share of a label that is left of its position. */
function edge(share: number): number {
  if (share < 0.1) return 0;
  return share > 0.9 ? 1 : 0.5;
}

/** The y coordinate of a share of the maximum. */
function heightOf(share: number): number {
  return HEIGHT - (HEIGHT - 2) * share - 1;
}

const point = ([x, y]: readonly [number, number]): string => `${x.toFixed(1)} ${y.toFixed(1)}`;

function lineOf(run: readonly (readonly [number, number])[]): string {
  return `M${run.map(point).join('L')}`;
}

function areaOf(run: readonly (readonly [number, number])[]): string {
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined) return '';
  return `${lineOf(run)}L${last[0].toFixed(1)} ${HEIGHT}L${first[0].toFixed(1)} ${HEIGHT}Z`;
}
