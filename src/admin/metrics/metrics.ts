/**
 * The page of metrics. The machines count in plain numbers, and the text is written from those when
 * it is requested. prom-client provides the metrics of the process, and no others (docs/adr/0007).
 */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';

import { messageOf } from '../../core/errors.js';
import type { Holdings } from '../../core/holdings.js';
import type { Log } from '../log/log.js';
import { tell } from '../log/process-events.js';
import { brokerMetrics, type BrokerSource, by } from './broker-metrics.js';
import type { Writing } from './by-service.js';
import { CONTENT_TYPE, Exposition, labelText } from './exposition.js';
import { type MetricName, METRICS } from './metric-table.js';
import { pairMetrics, type PairFacts } from './pair-metrics.js';
import type { ProcessMetrics } from './process-metrics.js';
import { titanicMetrics, type TitanicSource } from './titanic-metrics.js';

/** The metrics of an extension. */
export interface MetricsPart {
  /** All rows of the table that name this extension. */
  write(out: Exposition): void;
  /** Messages that it dropped because they break a rule: its own kinds of `messages_malformed_total`. */
  malformed?(): Readonly<Record<string, number>>;
}

/** Where the numbers are; read only while a text is written. */
export interface MetricSources {
  /** `node.name`. */
  readonly node: string;
  readonly version: string;
  uptimeMs(): number;
  /** Whether the process before this one did not shut down. */
  readonly afterCrash: boolean;
  /** Milliseconds since 1970. */
  wall(): number;
  isReady(): boolean;
  /** The codes of `degraded`. */
  degraded(): readonly string[];
  loopLagMs(): number;
  /** What is held for peers. */
  readonly holdings: Pick<Holdings, 'bytes' | 'byKind'>;
  readonly broker: BrokerSource;
  /** `null` if no requests are stored. */
  titanic(): TitanicSource | null;
  /** `titanic.maxBytes`. */
  readonly storeBytesMax: number;
  pair(): PairFacts;
  /** The metrics of the extensions that are attached, by their names. */
  extensions(): ReadonlyMap<string, MetricsPart>;
}

/**
 * The share of the loop's time that writing texts may take. A request that comes sooner waits, and
 * shares the next text with all that wait.
 */
const LOOP_SHARE = 0.1;

/** So long a text is written before others have their turn. */
const SLICE_MS = 5;

const compressed = promisify(gzip);

/** The text of one scrape, for all who asked for it at once. */
export class Rendered {
  readonly plain: Buffer;
  #gzipped: Promise<Buffer> | null = null;

  constructor(plain: Buffer) {
    this.plain = plain;
  }

  /** The text, compressed by another thread. */
  get gzipped(): Promise<Buffer> {
    this.#gzipped ??= compressed(this.plain, { level: constants.Z_BEST_SPEED });
    return this.#gzipped;
  }
}

/** The rows of each extension. */
const OF_EXTENSIONS = rowsOfExtensions();

export class Metrics {
  readonly contentType = CONTENT_TYPE;
  readonly #sources: MetricSources;
  readonly #log: Log;
  #process: ProcessMetrics | null = null;
  #isPartialLogged = false;
  /** The next text, for all requests that arrive before it is begun. */
  #next: Promise<Rendered> | null = null;
  /** The text that is being written, or was last. */
  #last: Promise<unknown> = Promise.resolve();
  /** The next text is not begun before this. Monotonic milliseconds. */
  #notBefore = -Infinity;

  constructor(sources: MetricSources, log: Log) {
    this.#sources = sources;
    this.#log = log;
  }

  /** The text, made from numbers read after this call. */
  render(): Promise<Rendered> {
    this.#next ??= this.#begin(this.#last);
    return this.#next;
  }

  async #begin(last: Promise<unknown>): Promise<Rendered> {
    await last;
    const waitMs = this.#notBefore - performance.now();
    await (waitMs <= 0 ? nextTurn() : sleep(waitMs));
    this.#next = null;
    const written = this.#written();
    this.#last = written.catch(() => undefined);
    return new Rendered(await written);
  }

  async #written(): Promise<Buffer> {
    const out = new Exposition();
    const parts: Buffer[] = [];
    let tookMs = 0;
    let from = performance.now();
    for (const _ of this.#write(out)) {
      const sliceMs = performance.now() - from;
      if (sliceMs < SLICE_MS) continue;
      parts.push(Buffer.from(out.take()));
      tookMs += performance.now() - from;
      await nextTurn();
      from = performance.now();
    }
    parts.push(Buffer.from(out.take()));
    tookMs += performance.now() - from;
    this.#notBefore = performance.now() + tookMs / LOOP_SHARE;
    return Buffer.concat([...parts, Buffer.from(await this.#ofProcess())]);
  }

  /** The library is loaded when it is first needed: a start does without it. */
  async #ofProcess(): Promise<string> {
    try {
      const { ProcessMetrics: Metrics } = await import('./process-metrics.js');
      this.#process ??= new Metrics();
      return await this.#process.render();
    } catch (error) {
      // No descriptor is free, or the program was replaced: all else can be told.
      const reason = messageOf(error);
      const text = `metrics of the process are missing: ${reason}`;
      if (!this.#isPartialLogged) tell(this.#log, 'metrics.partial', { reason }, text);
      this.#isPartialLogged = true;
      return '';
    }
  }

  *#write(out: Exposition): Writing {
    const { node, version, broker } = this.#sources;
    const titanic = this.#sources.titanic();
    out.metric('build_info');
    const labels = { version, node, nodejs: process.versions.node };
    const texts = Object.entries(labels).map(([label, value]) => labelText(label, value));
    out.sample(texts.join(), 1);
    out.metric('up_seconds');
    out.sample('', this.#sources.uptimeMs() / 1000);
    out.metric('started_after_crash');
    out.sample('', Number(this.#sources.afterCrash));
    out.metric('ready');
    out.sample('', Number(this.#sources.isReady()));
    out.metric('degraded');
    const degraded = this.#sources.degraded();
    for (const reason of METRICS.degraded.labels['reason'] ?? []) {
      out.sample(labelText('reason', reason), Number(degraded.includes(reason)));
    }
    const extensions = this.#sources.extensions();
    const unread: Record<string, number> = {};
    for (const part of extensions.values()) Object.assign(unread, part.malformed?.());
    yield* brokerMetrics(out, broker, titanic?.counters ?? null, unread);
    if (titanic !== null) {
      yield* titanicMetrics(out, titanic, this.#sources.wall());
      out.metric('titanic_store_limit_bytes');
      out.sample('', this.#sources.storeBytesMax);
    }
    for (const [extension, rows] of OF_EXTENSIONS) {
      const part = extensions.get(extension);
      if (part === undefined) for (const name of rows) noneOf(out, name);
      else part.write(out);
    }
    pairMetrics(out, this.#sources.pair());
    const { holdings } = this.#sources;
    by(out, 'memory_held_bytes', 'kind', holdings.byKind, holdings.bytes);
    out.metric('event_loop_lag_seconds');
    out.sample('', this.#sources.loopLagMs() / 1000);
  }
}

function rowsOfExtensions(): ReadonlyMap<string, readonly MetricName[]> {
  const rows = new Map<string, MetricName[]>();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { extension } = METRICS[name];
    if (extension !== undefined) rows.set(extension, [...(rows.get(extension) ?? []), name]);
  }
  return rows;
}

/** Writes 0 for a metric of an extension that is not attached: a graph shows 0, not a gap. */
function noneOf(out: Exposition, name: MetricName): void {
  const [label] = Object.keys(METRICS[name].labels);
  if (label !== undefined) {
    by(out, name, label, {});
    return;
  }
  out.metric(name);
  out.sample('', 0);
}
