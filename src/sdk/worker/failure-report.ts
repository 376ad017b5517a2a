/**
 * Reports failures to people: each code at most once a second, with the number of those left out.
 * The last of these is reported when its second is over, so that every count appears.
 */
interface ReportedFailure {
  /** Until when the code is silent; monotonic milliseconds. */
  until: number;
  leftOut: number;
  line: string;
  detail: () => string;
}

const SILENT_MS = 1000;
/** Codes counted separately; the rest share one. */
const CODES_MAX = 100;
const OTHERS = '';
const NO_DETAIL = (): string => '';

export class FailureReport {
  readonly #print: (line: string, detail: string) => void;
  readonly #now: () => number;
  readonly #reports = new Map<string, ReportedFailure>();
  #timer: NodeJS.Timeout | null = null;

  /** @param now monotonic milliseconds */
  constructor(print: (line: string, detail: string) => void, now: () => number) {
    this.#print = print;
    this.#now = now;
  }

  /** @param detail makes the lines to print below it, such as a stack, which takes time: called only for what is printed */
  report(code: string, line: string, detail: () => string = NO_DETAIL): void {
    const now = this.#now();
    const known = this.#reports.has(code) || this.#reports.size < CODES_MAX ? code : OTHERS;
    const earlier = this.#reports.get(known);
    if (earlier !== undefined && earlier.until > now) {
      earlier.leftOut++;
      Object.assign(earlier, { line, detail });
      return;
    }
    this.#say(known, { line, detail }, earlier?.leftOut ?? 0, now);
  }

  /** Reports what was left out. */
  flush(): void {
    this.#sayDue(Infinity);
    this.#reports.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #say(
    code: string,
    { line, detail }: Pick<ReportedFailure, 'line' | 'detail'>,
    leftOut: number,
    now: number,
  ): void {
    const more = leftOut === 0 ? '' : ` (${leftOut} more with this code were not printed)`;
    this.#print(line + more, detail());
    this.#reports.set(code, { until: now + SILENT_MS, leftOut: 0, line, detail });
    this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
  }

  readonly #tick = (): void => {
    this.#timer = null;
    this.#sayDue(this.#now());
    if (this.#reports.size > 0) this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
  };

  #sayDue(now: number): void {
    for (const [code, report] of this.#reports) {
      const { until, leftOut } = report;
      if (until > now) continue;
      this.#reports.delete(code);
      // The line to print is one of those left out.
      if (leftOut > 0) this.#say(code, report, leftOut - 1, now);
    }
  }
}
