/** `majordomo verify`: checks whether a store file is intact and its content consistent. */
import type { Command } from 'commander';

import { EXIT, type ExitStatus } from '../core/exit.js';
import type { DatabaseReport, DatabaseTool } from '../store/database-tools.js';
import { databaseOf } from './database.js';
import {
  addConfigOptions,
  addOutputOption,
  type ConfigOptions,
  type Done,
  examples,
  type OutputFormat,
} from './options.js';
import { counted, print, printable, printJson, say } from './output.js';
import type { Program } from './program.js';
import { Progress } from './progress.js';
import { checkStore, damage, shownSize, storeFile } from './store-file.js';

interface VerifyOptions extends ConfigOptions {
  readonly output: OutputFormat;
}

const EXAMPLES = [
  ['majordomo verify', 'the store of the default configuration'],
  ['majordomo verify /backup/monday.db', 'a store or a backup, by its path'],
  ['majordomo verify -c /etc/majordomo.yaml', 'the store of a configuration file'],
  ['majordomo verify -o json | jq .pending', 'counts, for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Reads every page, every request and every record of the map, and changes nothing; the broker may be running. Problems go to
standard error, one per line.

Exit status: 0 undamaged · 64 usage · 69 locked, or the database cannot be reached · 74 damaged, not a
Majordomo store, missing, not readable, or, if no FILE is given, not the store that the data directory
records · 78 configuration, a store of a newer or a development version, or a database that has no
store yet or refuses this role.
`;

export function defineVerify(command: Command, done: Done, program: Program): void {
  command.argument('[file]', 'the store to check, instead of the one of the configuration');
  addOutputOption(addConfigOptions(command))
    .addHelpText('after', AFTER)
    .action(async (path: string | undefined, options: VerifyOptions) => {
      const inDatabase = await databaseOf(path, options, program);
      if (inDatabase !== null) {
        done(await verifyDatabase(inDatabase, options.output));
        return;
      }
      const file = storeFile(path, options);
      await checkStore(path, file);
      const { verifyStore } = await import('../store/sqlite/records/verify.js');
      const progress = new Progress(`verify ${file}`);
      let report: ReturnType<typeof verifyStore>;
      try {
        report = verifyStore(file, (_what, looked, all) => {
          progress.show(looked, all);
        });
      } catch (error) {
        throw damage(error);
      } finally {
        progress.end();
      }
      const { problems, pending, replied, dead, keys, schedules, mapKeys } = report;
      const { bytes, freeBytes, format, moved } = report;
      for (const problem of problems) say(`${file}: ${printable(problem)}`);
      if (options.output === 'json') {
        await printJson({ file, ...report });
      } else {
        const size = `${shownSize(bytes)}, of which ${shownSize(freeBytes)} are free for reuse`;
        await print(
          `${file}: ${stateOf(problems)}\n` +
            `${pending} pending, ${replied} replied, ${dead} dead, ${keys} keys, ${schedules} schedules\n` +
            `${mapKeys} keys of the map\n` +
            `format ${format}, ${size}\n` +
            (moved === null ? '' : `moved to ${moved.place} at ${moved.at}\n`),
        );
      }
      done(problems.length === 0 ? EXIT.done : EXIT.disk);
    });
}

/** The same, for a store in a database. @returns the exit status */
async function verifyDatabase(database: DatabaseTool, output: OutputFormat): Promise<ExitStatus> {
  const { name } = database;
  const progress = new Progress(`verify ${name}`);
  let report: DatabaseReport;
  try {
    report = await database.verify((looked, all) => {
      progress.show(looked, all);
    });
  } finally {
    progress.end();
  }
  const { problems, pending, replied, dead, keys, schedules, bytes, format } = report;
  for (const problem of problems) say(`${name}: ${printable(problem)}`);
  if (output === 'json') await printJson({ database: name, ...report });
  else {
    await print(
      `${name}: ${stateOf(problems)}\n` +
        `${pending} pending, ${replied} replied, ${dead} dead, ${keys} keys, ${schedules} schedules\n` +
        `format ${format}, ${shownSize(bytes)}\n`,
    );
  }
  return problems.length === 0 ? EXIT.done : EXIT.disk;
}

function stateOf({ length }: readonly string[]): string {
  return length === 0 ? 'whole' : counted(length, 'problem');
}
