/**
 * Names as labels of metrics. The first names get a label of their own and keep it until the
 * process ends, so that no counter decreases when a name is forgotten; all others share one
 * (docs/metrics.md). Counters per label are numbers in an array.
 */
/** Number of a label: an index into arrays of counters. */
export type Label = number;

/** The label that the other names share. */
export const OTHERS: Label = 0;
const OTHERS_NAME = '__other__';
/** Maximum number of names with a label of their own; each label costs about 90 time series. */
const OWN_MAX = 200;
export const LABELS_MAX: number = OWN_MAX + 1;

/** A number for every label. */
export type ByLabel = Float64Array;

export function byLabel(): ByLabel {
  return new Float64Array(LABELS_MAX);
}

export function increment(counts: ByLabel, label: Label, by = 1): void {
  counts[label] = (counts[label] ?? 0) + by;
}

export class Labels {
  readonly #names: string[] = [OTHERS_NAME];
  /** A name equal to the shared label's is counted under it. */
  readonly #byName = new Map<string, Label>([[OTHERS_NAME, OTHERS]]);

  /** By label. Entries are never removed. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** @param shown the name, percent-escaped (D3) */
  of(shown: string): Label {
    return this.#byName.get(shown) ?? OTHERS;
  }

  /**
   * The label of a name, which gets one of its own if there is room.
   * @param share the part of all labels above which this name gets none
   */
  claim(shown: string, share = 1): Label {
    const known = this.#byName.get(shown);
    if (known !== undefined) return known;
    if (this.#names.length > OWN_MAX * share) return OTHERS;
    const label = this.#names.push(shown) - 1;
    this.#byName.set(shown, label);
    return label;
  }
}
