/**
 * Which code an input reaches, and how often: V8's own counters of blocks. (Jazzer.js 4, the only
 * fuzzer for Node that is kept up, needs a newer C library than Debian 12 has.)
 */
import { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly scriptId: string;
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

const OPTIMISERS = ['maglev', 'turbofan'];

/** Code of the project, and not that of its tests. */
const OURS = /\/build\/src\//;

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();
  readonly #ours: RegExp;

  /** @param ours the scripts that are looked at */
  constructor(ours: RegExp = OURS) {
    this.#ours = ours;
  }

  start(): void {
    // Code that is optimised while it is counted does not count any more.
    for (const compiler of OPTIMISERS) setFlagsFromString(`--no-${compiler}`);
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  stop(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#post('Profiler.disable');
    this.#session.disconnect();
    for (const compiler of OPTIMISERS) setFlagsFromString(`--${compiler}`);
  }

  /** Forgets what ran since the last call. */
  clear(): void {
    this.#take();
  }

  /** Whether what ran since the last call has reached code that nothing had reached before. */
  hasNew(remember: boolean): boolean {
    let isNew = false;
    for (const [key, count] of this.#blocks()) {
      // How often, roughly: a loop that turns for the first time is news, too.
      const reached = `${key} ${Math.ceil(Math.log2(count + 1) / 2)}`;
      if (this.#seen.has(reached)) continue;
      isNew = true;
      if (remember) this.#seen.add(reached);
      else return true;
    }
    return isNew;
  }

  get reached(): number {
    return this.#seen.size;
  }

  /** Blocks that ran since the last call, each as often as it did: what the work was. */
  work(): number {
    let work = 0;
    for (const [, count] of this.#blocks()) work += count;
    return work;
  }

  *#blocks(): Generator<readonly [string, number]> {
    for (const script of this.#take()) {
      if (!this.#ours.test(script.url)) continue;
      for (const { ranges } of script.functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count > 0) yield [`${script.scriptId}:${startOffset}-${endOffset}`, count];
        }
      }
    }
  }

  #take(): readonly Script[] {
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: Script[] };
    return result;
  }

  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`${method}: ${error.message}`);
      answer = result;
    });
    return answer;
  }
}
