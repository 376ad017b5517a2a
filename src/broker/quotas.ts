/** What one identity may use at once (D75). */
export interface Quotas {
  readonly connections: number;
  /** Requests held for its clients, waiting or at workers. */
  readonly outstanding: number;
  /** Bytes of these. */
  readonly queuedBytes: number;
  /** Output that waits for all its connections together to read. */
  readonly outputBytes: number;
  readonly requestsPerSecond: number;
  readonly workers: number;
  /** Stored requests that are not closed, and their bytes. */
  readonly stored: number;
  readonly storedBytes: number;
  /** `titanic.wait` that are not answered yet. */
  readonly waits: number;
  /** Owners of envelopes that said `mmi.hello`. */
  readonly hellos: number;
  /** Names that are known only because it asked for them or serves them. */
  readonly services: number;
}

export type QuotaName = keyof Quotas;

/** No bounds but those that all share, and those that have a default of their own. */
export const NO_QUOTAS: Quotas = {
  connections: Infinity,
  outstanding: Infinity,
  queuedBytes: Infinity,
  outputBytes: Infinity,
  requestsPerSecond: Infinity,
  workers: Infinity,
  stored: Infinity,
  storedBytes: Infinity,
  waits: 10_000,
  hellos: 1000,
  services: Infinity,
};
