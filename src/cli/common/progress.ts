/** Progress of long work, for people at a terminal. */

const BAR_CHARACTERS = 24;

/** A line on standard error that changes; nothing if that is not a terminal. */
export class Progress {
  readonly #what: string;
  #shown = '';

  constructor(what: string) {
    this.#what = what;
  }

  /** A bar with a percentage. */
  readonly show = (done: number, all: number): void => {
    const share = all === 0 ? 1 : Math.min(done / all, 1);
    const filled = Math.floor(share * BAR_CHARACTERS);
    const bar = `${'#'.repeat(filled)}${'-'.repeat(BAR_CHARACTERS - filled)}`;
    this.say(`${this.#what} [${bar}] ${Math.floor(100 * share)} %`);
  };

  /**
   * Shows the progress of work of unknown size.
   * @param examined of how many
   */
  count(done: number, examined: number | null = null): void {
    this.say(`${this.#what}: ${done}${examined === null ? '' : ` of ${examined}`}`);
  }

  end(): void {
    this.say('');
  }

  /** Shows any text. */
  say(text: string): void {
    if (!process.stderr.isTTY || text === this.#shown) return;
    this.#shown = text;
    process.stderr.write(`\r\u001b[K${text}`);
  }
}

/** Runs it with progress that is gone afterwards. */
export async function withProgress<T>(
  what: string,
  run: (progress: Progress) => T | Promise<T>,
): Promise<T> {
  const progress = new Progress(what);
  try {
    return await run(progress);
  } finally {
    progress.end();
  }
}
