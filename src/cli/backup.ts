/** `majordomo backup`: a consistent copy of the store, with the broker running or not. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';

import { EXIT } from '../core/exit.js';
import {
  addConfigOptions,
  addOutputOption,
  type ConfigOptions,
  type Done,
  examples,
  type OutputFormat,
} from './options.js';
import { print, printJson } from './output.js';
import { Progress } from './progress.js';
import { checkStore, shownSize, storeFile } from './store-file.js';

interface BackupOptions extends ConfigOptions {
  readonly output: OutputFormat;
  readonly store?: string;
}

const EXAMPLES = [
  ['majordomo backup titanic-backup.db', "this configuration's store"],
  ['majordomo backup -c /etc/majordomo.yaml /backup/monday.db', 'that of a file'],
  ['majordomo backup --store data/titanic.db /backup/monday.db', 'a store by its path'],
  ['majordomo verify /backup/monday.db', 'and whether it is whole'],
] as const;

const AFTER = `${examples(EXAMPLES)}
The copy is of one moment, also while the broker works. It is on disk when the command ends. Nothing
is ever overwritten. To restore: stop the broker, move the store away with its -wal and -shm, put the
copy in its place, start. (docs/operating.md)

Exit status: 0 done · 64 usage, or FILE exists · 69 locked · 74 disk, or the store is missing or not
the one that the data directory remembers · 78 configuration, or no store.
`;

export function defineBackup(command: Command, done: Done): void {
  command.argument('<file>', 'where the copy goes; must not exist');
  addOutputOption(addConfigOptions(command))
    .option('--store <path>', 'the store, instead of the one of the configuration')
    .addHelpText('after', AFTER)
    .action(async (file: string, options: BackupOptions) => {
      const store = storeFile(options.store, options);
      await checkStore(options.store, store);
      const { backupStore } = await import('../titanic/io/backup.js');
      const progress = new Progress(`backup of ${store}`);
      try {
        await backupStore(store, file, (copied, all) => {
          progress.show(copied, all);
        });
      } finally {
        progress.end();
      }
      const bytes = statSync(file).size;
      if (options.output === 'json') await printJson({ store, file, bytes });
      else await print(`${file}: ${shownSize(bytes)}\n`);
      done(EXIT.done);
    });
}
