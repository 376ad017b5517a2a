/** What Titanic is configured with (`titanic.*`): milliseconds, bytes, counts. */
export interface TitanicOptions {
  readonly maxAttempts: number;
  /** Pause after the first attempt, doubled after each, up to the longest; with jitter. */
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  readonly replyTtlMs: number;
  readonly requestTtlMs: number;
  readonly keyTtlMs: number;
  /** Stored requests with the broker at once. */
  readonly maxInFlight: number;
  /** Requests neither closed nor expired. */
  readonly maxOpen: number;
  /** Size of the store. */
  readonly maxBytes: number;
}
