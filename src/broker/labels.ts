/**
 * Names of services as labels of metrics. The first that ever had a worker get a label of their own
 * and keep it to the end of the process, so that no counter goes down when a service is forgotten;
 * all others share one (docs/metrics.md).
 */
/** Number of a label: an index for what is counted per label. */
export type Label = number;

/** The label that services share. */
export const OTHERS: Label = 0;
const OTHERS_NAME = '__other__';
/** Labels of their own; a label costs about 50 time series. */
const OWN_MAX = 200;
export const LABELS_MAX: number = OWN_MAX + 1;

export class ServiceLabels {
  readonly #names: string[] = [OTHERS_NAME];
  /** A service of that very name is one of the others. */
  readonly #byName = new Map<string, Label>([[OTHERS_NAME, OTHERS]]);

  /** By label. Names are only ever added. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** @param shown the service's name, percent-escaped (D3) */
  of(shown: string): Label {
    return this.#byName.get(shown) ?? OTHERS;
  }

  /** The label of a service that has a worker now. */
  claim(shown: string): Label {
    const known = this.#byName.get(shown);
    if (known !== undefined) return known;
    if (this.#names.length === LABELS_MAX) return OTHERS;
    const label = this.#names.push(shown) - 1;
    this.#byName.set(shown, label);
    return label;
  }
}
