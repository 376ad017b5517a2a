/** What commands do with a store in a database, apart from serving it. */
import type { RecordCount } from './record-kind.js';

/** The contents of a store, by kinds. */
export interface StoredCounts extends Readonly<Record<RecordCount, number>> {
  /** Number of idempotency keys that are remembered. */
  readonly keys: number;
}

/** The part of a configuration that says where a store is. */
export interface StoreConfig {
  readonly node: { readonly dataDir: string };
  readonly titanic: { readonly store: string; readonly storePasswordFile: string | null };
}

export interface DatabaseReport extends StoredCounts {
  readonly format: number;
  readonly bytes: number;
  readonly problems: readonly string[];
}

/** The database of a configuration. */
export interface DatabaseTool {
  /** For messages: without the user. */
  readonly name: string;
  /**
   * Compares its tables with each other, as of one moment; brokers may be running.
   * @param onProgress checks done, of how many
   * @throws ERR_TITANIC_LOST if it is another store, ERR_TITANIC_STORE if there is none or a right is
   * missing, ERR_TITANIC_DISK if something of the tables is missing
   */
  verify(onProgress: (done: number, all: number) => void): Promise<DatabaseReport>;
  /**
   * Copies it into a store file. @param onProgress requests copied, of how many
   * @throws ERR_TITANIC_TARGET if the file exists, ERR_TITANIC_LOST if it is another store, ERR_TITANIC_DISK,
   * ERR_TITANIC_STORE
   */
  backup(file: string, onProgress: (done: number, all: number) => void): Promise<void>;
}
