/** `majordomo backup`: a consistent copy of the store, with the broker running or not. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import { databaseOf } from './database.js';
import {
  addConfigOptions,
  addOutputOption,
  type ConfigOptions,
  type Done,
  examples,
  type OutputFormat,
} from './options.js';
import { print, printJson } from './output.js';
import type { Program } from './program.js';
import { Progress } from './progress.js';
import { checkStore, damage, shownSize, storeFile } from './store-file.js';

interface BackupOptions extends ConfigOptions {
  readonly output: OutputFormat;
  readonly store?: string;
}

const EXAMPLES = [
  ['majordomo backup titanic-backup.db', 'the store of the default configuration'],
  [
    'majordomo backup -c /etc/majordomo.yaml /backup/monday.db',
    'the store of this configuration file',
  ],
  ['majordomo backup --store data/titanic.db /backup/monday.db', 'a store, by its path'],
  ['majordomo verify /backup/monday.db', 'check the copy'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The copy is a consistent snapshot even if the broker runs, and is on disk when the command ends. Its
pages are checked; if one is damaged, no copy is left. An existing FILE is never overwritten. A store in a database is copied into a store file. To restore a copy, follow docs/operating.md: Backup and
restore, or for a pair, Backup and restore of a pair.

Exit status: 0 done · 64 usage, or FILE exists · 69 locked · 74 disk, or the store is missing, is
damaged or no Majordomo store, or is not the one that the data directory expects · 78 configuration, or
a store of a newer or a development version.
`;

export function defineBackup(command: Command, done: Done, program: Program): void {
  command.argument('<file>', 'path of the copy; must not exist');
  addOutputOption(addConfigOptions(command))
    .option('--store <path>', 'the store to copy, instead of the one of the configuration')
    .addHelpText('after', AFTER)
    .action(async (file: string, options: BackupOptions) => {
      const database = await databaseOf(options.store, options, program);
      const store = database?.name ?? storeFile(options.store, options);
      if (database === null) await checkStore(options.store, store);
      const progress = new Progress(`backup of ${store}`);
      const copied = (done: number, all: number): void => {
        progress.show(done, all);
      };
      try {
        if (database === null) {
          const { backupStore } = await import('../store/sqlite/file/backup.js');
          await backupStore(store, file, copied);
        } else {
          await database.backup(file, copied);
        }
      } catch (error) {
        throw damage(error);
      } finally {
        progress.end();
      }
      const bytes = statSync(file).size;
      if (options.output === 'json') await printJson({ store, file, bytes });
      else await print(`${file}: ${shownSize(bytes)}\n`);
      done(EXIT.done);
    });
}
