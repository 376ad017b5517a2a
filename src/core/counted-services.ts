/**
 * What is counted of services: a row for each, and the *labels* of metrics, which are lent. A
 * service with a label is told under its own name; the others are told together, as `__other__`.
 *
 * No series that is told decreases: what a service counted before it got its label stays with
 * `__other__`, and what it counted under a label ends with that. (If it went to `__other__`, that
 * would seem to have counted all of it at once.)
 */
import { Counts, type Layout } from './counts.js';
import { METRICS_SERVICES } from './defaults.js';
import { digestOf } from './digest.js';
import { isTemporary } from './temporary-service.js';

/** The label that all services without one of their own share. */
export const OTHERS = '__other__';
/**
 * The share of the labels that services get that never had a worker: a peer can store requests for
 * any number of names.
 */
const UNSERVED_SHARE = 0.5;
/** A service without a request for so long may lose its label to one that needs it more. */
const IDLE_MS = 60_000;
/** For so long after a failure, a service needs its label. */
const FAILED_MS = 600_000;

/** A longer name is shortened in its label. */
const LABEL_CHARACTERS_MAX = 100;
const BEGINNING_CHARACTERS = 64;
/** What the metrics of a labelled service take in their text at most: lines, and bytes of each beside the label. */
const LINES = 102;
const LINE_BYTES = 72;
/** What the text of all labelled services may take. */
const LABELLED_BYTES_MAX = 32 * 1024 * 1024;

/** No name, as it is shown, has the character in the middle, so a short name and a shortened one differ. */
function labelOf(shown: string): string {
  if (shown.length <= LABEL_CHARACTERS_MAX) return shown;
  return `${shown.slice(0, BEGINNING_CHARACTERS)}…${digestOf([shown]).toString('base64url')}`;
}

/** A service, and what is counted of it. */
export class CountedService {
  /** The name of the service, percent-escaped (D3). */
  readonly shown: string;
  /** The value of its label in the metrics. */
  readonly label: string;
  readonly plain: Counts;
  /** Counts of its stored requests; `null`: it never had any. */
  stored: Counts | null = null;
  /** Whether it is told under its own name. */
  hasLabel = false;
  /** Whether it has had a worker. */
  wasServed = false;
  /** Whether it has stored requests. */
  isStored = false;
  /** When something was last counted, and a failure, to the accuracy of a mark. */
  usedAt: number;
  failedAt = -Infinity;

  constructor(shown: string, layout: Layout, now: number) {
    this.shown = shown;
    this.label = labelOf(shown);
    this.plain = new Counts(layout);
    this.usedAt = now;
  }

  /** A service with the name of the shared label is told under that. */
  get mayHaveLabel(): boolean {
    return this.shown !== OTHERS && !isTemporary(this.shown);
  }

  /** What its metrics take in their text, with quotes and backslashes escaped. */
  get textBytes(): number {
    return LINES * (LINE_BYTES + Buffer.byteLength(JSON.stringify(this.label)));
  }

  /** @returns whether anything was counted since the last mark */
  mark(now: number): boolean {
    const [plain, stored] = [this.plain.mark(), this.stored?.mark() ?? 'none'];
    if (plain === 'none' && stored === 'none') return false;
    if (plain === 'failed' || stored === 'failed') this.failedAt = now;
    this.usedAt = now;
    return true;
  }

  /** Whether it gets a label before those that do not matter, and keeps it. */
  matters(now: number): boolean {
    return this.isStored || this.failedAt + FAILED_MS > now;
  }

  moveTo(other: CountedService): void {
    this.plain.moveTo(other.plain);
    if (other.stored !== null) this.stored?.moveTo(other.stored);
  }
}

export class CountedServices {
  /** How many may have a label: `metrics.services`. */
  most = METRICS_SERVICES;
  /**
   * What is told as `__other__` but belongs to no unlabelled service: counts of unknown names, of forgotten services
   * without a label, and of labelled ones before they got it.
   */
  readonly others: CountedService;
  /** What was counted under labels that were given back: told no more, but part of the totals. */
  readonly ended: CountedService;
  readonly #layout: Layout;
  readonly byName = new Map<string, CountedService>();
  #labelled = 0;
  #labelledBytes = 0;
  /** How many of the labelled never had a worker. */
  #unserved = 0;
  /** When the last two marks were made. */
  #newerAt = 0;
  #olderAt = 0;

  /** @param layout of plain requests */
  constructor(layout: Layout) {
    this.#layout = layout;
    this.others = new CountedService(OTHERS, layout, 0);
    this.ended = new CountedService(OTHERS, layout, 0);
  }

  /** From now on there may be stored requests. @returns what is counted for no known service */
  keepStored(layout: Layout): Counts {
    this.ended.stored ??= new Counts(layout);
    return (this.others.stored ??= new Counts(layout));
  }

  /** @param shown percent-escaped */
  find(shown: string): CountedService | null {
    return this.byName.get(shown) ?? null;
  }

  /** The service of this name, which is added if it is unknown. */
  of(shown: string): CountedService {
    const known = this.byName.get(shown);
    if (known !== undefined) return known;
    const service = new CountedService(shown, this.#layout, this.#newerAt);
    this.byName.set(shown, service);
    return service;
  }

  /** Forgets a service, as the broker did. One that has stored requests stays. */
  forget(service: CountedService): void {
    if (service.isStored) return;
    if (service.hasLabel) this.#takeBack(service);
    else service.moveTo(this.others);
    this.byName.delete(service.shown);
  }

  /** Takes note that a service has a worker. */
  served(service: CountedService): void {
    if (service.hasLabel && !service.wasServed) this.#unserved--;
    service.wasServed = true;
    this.#claim(service);
  }

  /** Takes note that a service has stored requests. */
  stores(service: CountedService, layout: Layout): void {
    service.isStored = true;
    service.stored ??= new Counts(layout);
    this.#claim(service);
  }

  /** What was counted for all services together, also for those that were forgotten. */
  total(of: 'plain' | 'stored'): Float64Array {
    const total = this.unlabelled(of);
    add(this.ended[of], total);
    for (const service of this.byName.values()) {
      if (service.hasLabel) add(service[of], total);
    }
    return total;
  }

  /** What is counted under the label that services share. */
  unlabelled(of: 'plain' | 'stored'): Float64Array {
    const total = this.others[of]?.now.slice() ?? new Float64Array();
    for (const service of this.byName.values()) {
      if (!service.hasLabel) add(service[of], total);
    }
    return total;
  }

  /**
   * Sets a mark, from which rates count, and lends labels that are free or no longer needed.
   * @param now monotonic milliseconds
   */
  mark(now: number): void {
    this.#olderAt = this.#newerAt;
    this.#newerAt = now;
    const wanting: CountedService[] = [];
    for (const service of this.byName.values()) {
      const isUsed = service.mark(now);
      if (!service.hasLabel && (isUsed || service.matters(now))) wanting.push(service);
    }
    if (this.#labelled > this.most) this.#reduce(now);
    if (wanting.length > 0) this.#lend(wanting, now);
  }

  secondsSinceLast(now: number): number {
    return (now - this.#newerAt) / 1000;
  }

  /** Seconds since the mark before the last one. */
  secondsSinceOlder(now: number): number {
    return (now - this.#olderAt) / 1000;
  }

  #claim(service: CountedService): void {
    if (this.#mayGet(service) && this.#hasLabelFor(service)) this.#give(service);
  }

  #hasLabelFor(service: CountedService): boolean {
    if (this.#labelled >= this.most) return false;
    return this.#labelledBytes + service.textBytes <= LABELLED_BYTES_MAX;
  }

  #mayGet({ hasLabel, mayHaveLabel, wasServed, isStored }: CountedService): boolean {
    if (hasLabel || !mayHaveLabel) return false;
    return wasServed || (isStored && this.#unserved < this.most * UNSERVED_SHARE);
  }

  #give(service: CountedService): void {
    this.#labelled++;
    this.#labelledBytes += service.textBytes;
    if (!service.wasServed) this.#unserved++;
    service.hasLabel = true;
    service.usedAt = this.#newerAt;
    service.moveTo(this.others);
  }

  #takeBack(service: CountedService): void {
    this.#labelled--;
    this.#labelledBytes -= service.textBytes;
    if (!service.wasServed) this.#unserved--;
    service.hasLabel = false;
    service.moveTo(this.ended);
  }

  #lend(wanting: readonly CountedService[], now: number): void {
    const matter = wanting.filter((service) => service.matters(now));
    let idle: CountedService[] | null = null;
    for (const service of matter) {
      if (!this.#mayGet(service)) continue;
      while (!this.#hasLabelFor(service)) {
        idle ??= this.#idle(now);
        const longest = idle.shift();
        if (longest === undefined) return;
        this.#takeBack(longest);
      }
      this.#give(service);
    }
    for (const service of wanting) this.#claim(service);
  }

  /** The services that can lose their label, the one that has been idle longest first. */
  #idle(now: number): CountedService[] {
    const labelled = [...this.byName.values()].filter(
      (service) => service.hasLabel && service.usedAt + IDLE_MS <= now && !service.matters(now),
    );
    return labelled.sort((left, right) => left.usedAt - right.usedAt);
  }

  /** `metrics.services` was lowered. */
  #reduce(now: number): void {
    const labelled = [...this.byName.values()].filter(({ hasLabel }) => hasLabel);
    const need = (service: CountedService): number => Number(service.matters(now));
    labelled.sort((left, right) => need(left) - need(right) || left.usedAt - right.usedAt);
    for (const service of labelled.slice(0, this.#labelled - this.most)) this.#takeBack(service);
  }
}

function add(counts: Counts | null, total: Float64Array): void {
  if (counts === null) return;
  for (let column = 0; column < total.length; column++) {
    total[column] = (total[column] ?? 0) + (counts.now[column] ?? 0);
  }
}
