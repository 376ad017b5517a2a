/**
 * Names as labels of metrics. The first ones get a label of their own and keep it to the end of the
 * process, so that no counter goes down when a name is forgotten; all others share one
 * (docs/metrics.md). What is counted by label is a number in an array.
 */
/** Number of a label: an index for what is counted per label. */
export type Label = number;

/** The label that names share. */
export const OTHERS: Label = 0;
const OTHERS_NAME = '__other__';
/** Labels of their own; a label costs about 90 time series. */
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
  /** Who is called like the shared one is one of the others. */
  readonly #byName = new Map<string, Label>([[OTHERS_NAME, OTHERS]]);

  /** By label. Names are only ever added. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** @param shown the name, percent-escaped (D3) */
  of(shown: string): Label {
    return this.#byName.get(shown) ?? OTHERS;
  }

  /**
   * The label of a name that may have one of its own from now on.
   * @param share of all labels, of which a place has to be left
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
