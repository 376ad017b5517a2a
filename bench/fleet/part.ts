/** One part of the measurements of a fleet. */
export interface FleetBench {
  /** For compiled programs and data directories. */
  readonly directory: string;
  /** Interleaved; figures are medians. */
  readonly rounds: number;
  /** Of one measurement, after its warm-up. */
  readonly seconds: number;
  progress(text: string): void;
}

/** @returns its section of the document, in Markdown */
export type FleetPart = (bench: FleetBench) => Promise<string>;
