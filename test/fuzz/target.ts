/** What is fuzzed: a program from bytes to effects, with its oracles inside. */

/**
 * A target takes any bytes. It throws if an oracle finds something wrong; what it is given it leaves
 * as it is. It is deterministic: the same bytes do the same.
 */
export interface Target {
  readonly name: string;
  /** Where a campaign begins: inputs that mean something. */
  readonly seeds: readonly Buffer[];
  /** Pieces that mean something: they are put into inputs. */
  readonly words?: readonly (string | Buffer)[];
  /** Inputs longer than this teach nothing more. */
  readonly bytesMax: number;
  readonly run: (input: Buffer) => void;
  /**
   * An input of the same kind that repeats what it is about so many times, for the search for costs
   * that grow faster than the input; without it the input's bytes are repeated.
   */
  readonly repeat?: (input: Buffer, times: number) => Buffer;
  /** Between inputs, after so many: what has to be given back is given back. */
  readonly end?: () => void;
}

/** Made when it is used: some need keys or files. */
export type TargetMaker = () => Promise<Target> | Target;

/** Says that an oracle is broken. */
function broken(what: string): never {
  throw new Error(what);
}

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) broken(what);
}

/** Reads an input as a script: numbers and pieces, zeros when it is at its end. */
export class Script {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** 0 to below `bound`. */
  below(bound: number): number {
    return this.byte() % bound;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** At most so many bytes. */
  bytes(length: number): Buffer {
    const end = Math.min(this.#bytes.length, this.#at + length);
    const piece = Buffer.from(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return piece;
  }

  /** As many as the next byte says. */
  piece(most = 255): Buffer {
    return this.bytes(this.byte() % (most + 1));
  }

  rest(): Buffer {
    return this.bytes(this.#bytes.length);
  }
}
