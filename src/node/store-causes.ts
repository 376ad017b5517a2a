import type { TitanicEvent, TitanicEvents } from '../titanic/machine/requests/events.js';

/**
 * Passes on what happens to the store, each cause once: while the database is lost, no session can be
 * renewed, and without either no batch is stored. What only follows is left out.
 */
export class StoreCauses implements TitanicEvents {
  readonly #next: TitanicEvents;
  #isLost = false;
  #hasSession = true;
  /** The loss of the session was passed on. */
  #isSessionReported = false;
  /** A failure of the store was passed on. */
  #isFailureReported = false;

  constructor(next: TitanicEvents) {
    this.#next = next;
  }

  emit(event: TitanicEvent): void {
    if (this.#isNews(event)) this.#next.emit(event);
  }

  #isNews(event: TitanicEvent): boolean {
    switch (event.name) {
      case 'store.lost':
        this.#isLost = true;
        return true;
      case 'store.returned':
        this.#isLost = false;
        return true;
      case 'store.session_lost': {
        this.#hasSession = false;
        const isNews = !this.#isLost && !this.#isSessionReported;
        this.#isSessionReported ||= isNews;
        return isNews;
      }
      case 'store.session_taken': {
        this.#hasSession = true;
        const isNews = this.#isSessionReported;
        this.#isSessionReported = false;
        return isNews;
      }
      case 'store.failed': {
        const follows = event.kind === 'busy' && (this.#isLost || !this.#hasSession);
        this.#isFailureReported ||= !follows;
        return !follows;
      }
      case 'store.healed': {
        const isNews = this.#isFailureReported;
        this.#isFailureReported = false;
        return isNews;
      }
      default:
        return true;
    }
  }
}
