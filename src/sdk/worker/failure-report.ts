/**
 * Reports failures to people: each code at most once a second, with the number of those left out.
 * The last of these is reported when its second is over, so that every count appears.
 */
interface ReportedFailure {
  /** Until when the code is silent; monotonic milliseconds. */
  until: number;
  leftOut: number;
  line: string;
}

const SILENT_MS = 1000;
/** Codes counted separately; the rest share one. */
const CODES_MAX = 100;
const OTHERS = '';

export class FailureReport {
  readonly #print: (line: string) => void;
  readonly #now: () => number;
  readonly #reports = new Map<string, ReportedFailure>();
  #timer: NodeJS.Timeout | null = null;

  /** @param now monotonic milliseconds */
  constructor(print: (line: string) => void, now: () => number) {
    this.#print = print;
    this.#now = now;
  }

  report(code: string, line: string): void {
    const now = this.#now();
    const known = this.#reports.has(code) || this.#reports.size < CODES_MAX ? code : OTHERS;
    const earlier = this.#reports.get(known);
    if (earlier !== undefined && earlier.until > now) {
      earlier.leftOut++;
      earlier.line = line;
      return;
    }
    this.#say(known, line, earlier?.leftOut ?? 0, now);
  }

  /** Reports what was left out. */
  flush(): void {
    this.#sayDue(Infinity);
    this.#reports.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #say(code: string, line: string, leftOut: number, now: number): void {
    this.#print(leftOut === 0 ? line : `${line} (${leftOut} more with this code were not printed)`);
    this.#reports.set(code, { until: now + SILENT_MS, leftOut: 0, line });
    this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
  }

  readonly #tick = (): void => {
    this.#timer = null;
    this.#sayDue(this.#now());
    if (this.#reports.size > 0) this.#timer ??= setTimeout(this.#tick, SILENT_MS).unref();
  };

  #sayDue(now: number): void {
    for (const [code, { until, leftOut, line }] of this.#reports) {
      if (until > now) continue;
      this.#reports.delete(code);
      // The line to print is one of those left out.
      if (leftOut > 0) this.#say(code, line, leftOut - 1, now);
    }
  }
}
