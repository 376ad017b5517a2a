/** Looks at something of the database again and again, while nobody waits for it. */
const LOOK_MS = 10_000;

export class RepeatedLook<Seen> {
  readonly #look: () => Promise<Seen>;
  readonly #report: (seen: Seen | null) => void;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param report is given `null` if a look has failed */
  constructor(look: () => Promise<Seen>, report: (seen: Seen | null) => void) {
    this.#look = look;
    this.#report = report;
    void this.#run();
  }

  async #run(): Promise<void> {
    // The store is away, which is told elsewhere, or its engine does not tell.
    const seen = await this.#look().catch(() => null);
    if (this.#isClosed) return;
    this.#report(seen);
    this.#timer = setTimeout(() => void this.#run(), LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
