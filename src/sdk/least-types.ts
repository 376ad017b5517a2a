/** What TypeScript has only since 5.4 and 5.6; programs may use 5.0. */

/** What `for await` reads: parts, changes. Leaving the loop ends it. */
export interface AsyncItems<Item> extends AsyncIterator<Item, undefined> {
  /** The items themselves. */
  [Symbol.asyncIterator](): AsyncItems<Item>;
}

/** A type that is not inferred from this place. */
export type Uninferred<Type> = [Type][Type extends unknown ? 0 : never];
