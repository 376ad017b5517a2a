/** Configuration of Titanic (`titanic.*`): milliseconds, bytes, counts. */
export interface TitanicOptions {
  readonly maxAttempts: number;
  /**
   * Pause after the first attempt. It doubles after each attempt, up to the longest, with jitter.
   */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly replyTtlMs: number;
  readonly requestTtlMs: number;
  readonly keyTtlMs: number;
  /** Maximum number of stored requests with the broker at once. */
  readonly maxInFlight: number;
  /** Maximum number of requests that are neither closed nor expired. */
  readonly maxOpen: number;
  /** Maximum size of the store. */
  readonly maxBytes: number;
}
