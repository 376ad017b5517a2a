/** What commands do with a store in a database, apart from serving it. */
/** The contents of a store, by kinds. */
export interface StoredCounts {
  /** How many requests are pending, without schedules. */
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  readonly schedules: number;
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
   * @throws ERR_USAGE if the file exists, ERR_TITANIC_DISK, ERR_TITANIC_STORE
   */
  backup(file: string, onProgress: (done: number, all: number) => void): Promise<void>;
}

export interface MigrationOrder {
  /** The path of the store file, in the data directory of its node. */
  readonly from: string;
  /** URL of the database. */
  readonly to: string;
  /** `null`: none. */
  readonly passwordFile: string | null;
  /** The node of a pair may lack what its peer has. */
  readonly isForced: boolean;
  /** Keys of the map may stay behind. */
  readonly mayLeaveMap: boolean;
  /** Told what the operator should know, in words. */
  readonly say: (text: string) => void;
  readonly onProgress: (step: 'check' | 'copy' | 'compare', done: number, all: number) => void;
}

export interface Migration extends StoredCounts {
  /** The database, without user and password. */
  readonly database: string;
  /** `already`: an earlier run had finished it. */
  readonly how: 'first' | 'resumed' | 'anew' | 'already';
  /** Requests that this run copied. */
  readonly copied: number;
  /** That this run took to copy. */
  readonly copyMs: number;
}

export interface DatabaseTools {
  /** @throws ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
  open(place: StoreConfig): Promise<DatabaseTool>;
  /**
   * Takes a stopped node's store file to a database.
   * @throws ERR_TITANIC_MIGRATE if the file is that of a node of a pair that was not in sync, or has
   * keys of the map; ERR_DATA_DIR_IN_USE if a broker runs; ERR_TITANIC_LOST, if the directory records
   * another store; ERR_TITANIC_MOVED, ERR_TITANIC_STORE, ERR_TITANIC_BUSY, ERR_TITANIC_DISK
   */
  readonly migrate: (order: MigrationOrder) => Promise<Migration>;
}
