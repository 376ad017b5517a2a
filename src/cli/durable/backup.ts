/** `majordomo backup`: a consistent copy of the store, with the broker running or not. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';

import { addOutputOption, type OutputOptions, tell } from '../common/formats.js';
import { addConfigOptions, type ConfigOptions, type Done, examples } from '../common/options.js';
import { shownSize } from '../common/output.js';
import type { Program } from '../program.js';
import { withProgress } from '../common/progress.js';
import { checkStore, databaseOf, storeFile, throwDamage } from './store-file.js';

interface BackupOptions extends ConfigOptions, OutputOptions {
  readonly store?: string;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

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
pages are checked; if one is damaged, no copy is left. An existing FILE is never overwritten. A store in a database is copied into a store file. To restore a copy, follow docs/operating.md, Backup and
restore, or for a pair, Backup and restore of a pair.

Exit status: 0 done · 64 usage, or FILE exists · 69 locked · 74 disk, or the store is missing, is
damaged or no Majordomo store, or is not the one that the data directory expects · 78 configuration, or
a store of a newer or a development version.
`;

export function define(command: Command, _done: Done, program: Program): void {
  command.argument('<file>', 'path of the copy; must not exist');
  addOutputOption(addConfigOptions(command))
    .option('--store <path>', 'the store to copy, instead of the one of the configuration')
    .addHelpText('after', AFTER)
    .action(async (file: string, options: BackupOptions) => {
      const database = await databaseOf(options.store, options, program);
      const store = database?.name ?? storeFile(options.store, options);
      if (database === null) await checkStore(options.store, store);
      const copy = async (): Promise<void> => {
        await withProgress(`backup of ${store}`, async ({ show }) => {
          if (database !== null) {
            await database.backup(file, show);
            return;
          }
          const { backupStore } = await import('../../store/sqlite/file/backup.js');
          await backupStore(store, file, show);
        });
      };
      await leavingNoDraft(copy).catch(throwDamage);
      const bytes = statSync(file).size;
      await tell(options.output, { store, file, bytes }, `${file}: ${shownSize(bytes)}\n`);
    });
}

/** A signal ends the process, but first removes what is not whole. */
async function leavingNoDraft(copy: () => Promise<void>): Promise<void> {
  const { removeDrafts } = await import('../../store/sqlite/file/copies.js');
  const end = (signal: NodeJS.Signals): void => {
    removeDrafts();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.once(signal, end);
  try {
    await copy();
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
  }
}
