/** What one identity may use at once (D75). */
export interface Quotas {
  readonly connections: number;
  /** Requests held for its clients, waiting or at workers. */
  readonly outstanding: number;
  /** Bytes of these requests. */
  readonly queuedBytes: number;
  /** Unread output of all its connections together. */
  readonly outputBytes: number;
  readonly requestsPerSecond: number;
  readonly workers: number;
  /** Stored requests that are not closed, and their bytes. */
  readonly stored: number;
  readonly storedBytes: number;
  /** `titanic.wait`, `titanic.call` and `titanic.progress` requests that are not answered yet. */
  readonly waits: number;
  /** Owners of envelopes that sent `mmi.hello`. */
  readonly hellos: number;
  /** Sessions of its clients, connected or away. */
  readonly sessions: number;
  /** How often its schedules may be due in a minute, together. */
  readonly schedules: number;
  /** Names that the broker knows only because this identity requests or serves them. */
  readonly services: number;
}

export type QuotaName = keyof Quotas;

/** No limits except those shared by all, and those with a default of their own. */
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
  sessions: 10_000,
  schedules: 600,
  services: Infinity,
};
