/** What a store's thread is told to open, and what it tells of that, as plain objects. */

/** What the thread is to open. */
export interface OpenOrder {
  readonly path: string;
  /** Another store may replace the one that the directory remembers. */
  readonly isNewStore: boolean;
  /** The node is one of a pair. */
  readonly isPaired: boolean;
}

/** The store has rows that are set aside. */
export interface AsideNews {
  readonly how: 'set-aside';
  readonly text: string;
}

/** Why a store could not be opened, as a plain object. */
export interface OpenFailure {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}
