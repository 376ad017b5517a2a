/** `majordomo verify`: checks whether a store file is intact and its content consistent. */
import type { Command } from 'commander';

import { EXIT, type ExitStatus } from '../../core/exit.js';
import type { DatabaseReport, DatabaseTool } from '../../store/database-tools.js';
import { addOutputOption, type OutputFormat, type OutputOptions, tell } from '../common/formats.js';
import { addConfigOptions, type ConfigOptions, type Done, examples } from '../common/options.js';
import { otherRecords } from '../../store/record-kind.js';
import { counted, printable, say, shownParts, shownSize } from '../common/output.js';
import type { Program } from '../program.js';
import { withProgress } from '../common/progress.js';
import { checkStore, databaseOf, storeFile, throwDamage } from './store-file.js';

interface VerifyOptions extends ConfigOptions, OutputOptions {}

const EXAMPLES = [
  ['majordomo verify', 'the store of the default configuration'],
  ['majordomo verify /backup/monday.db', 'a store or a backup, by its path'],
  ['majordomo verify -c /etc/majordomo.yaml', 'the store of a configuration file'],
  ['majordomo verify -o json | jq .pending', 'counts, for scripts'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Reads every page, every request and the records of extensions, and changes nothing; the broker may be running. Problems go to
standard error, one per line.

Exit status: 0 undamaged · 64 usage · 69 locked, or the database cannot be reached · 74 damaged, not a
Majordomo store, missing, not readable, or, if no FILE is given, not the store that the data directory
records · 78 configuration, a store of a newer or a development version, or a database that has no
store yet or refuses this role.
`;

export function define(command: Command, done: Done, program: Program): void {
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
      const { verifyStore } = await import('../../store/sqlite/records/verify.js');
      const report = await withProgress(`verify ${file}`, ({ show }) =>
        verifyStore(file, (_what, looked, all) => show(looked, all)),
      ).catch(throwDamage);
      const { bytes, freeBytes, moved, missing } = report;
      const parts = await shownParts(report.parts, program);
      const problems = [...(missing === null ? [] : [lacking(missing)]), ...report.problems];
      const size = `${shownSize(bytes)}, of which ${shownSize(freeBytes)} are free for reuse`;
      const more = parts.map((part) => `${part.text}\n`).join('');
      const text =
        reportProblems(file, { ...report, problems }, size, more) +
        (moved === null ? '' : `moved to ${moved.place} at ${moved.at}\n`);
      await tell(
        options.output,
        { file, ...report, parts: parts.map(({ text: _, ...part }) => part) },
        text,
      );
      done(problems.length === 0 ? EXIT.done : EXIT.disk);
    });
}

function lacking(log: string): string {
  return (
    `a broker was using this file when it was copied, and the log ${log} is missing: what was stored last is only ` +
    'there, which may be everything. `majordomo backup` makes a whole copy'
  );
}

/** Verifies a store in a database. @returns the exit status */
async function verifyDatabase(database: DatabaseTool, output: OutputFormat): Promise<ExitStatus> {
  const { name } = database;
  const report = await withProgress(`verify ${name}`, ({ show }) => database.verify(show));
  await tell(
    output,
    { database: name, ...report },
    reportProblems(name, report, shownSize(report.bytes)),
  );
  return report.problems.length === 0 ? EXIT.done : EXIT.disk;
}

/** Says what is wrong; returns the rest. */
function reportProblems(name: string, report: DatabaseReport, size: string, more = ''): string {
  const { problems, pending, replied, dead, keys, format } = report;
  for (const problem of problems) say(`${name}: ${printable(problem)}`);
  const state = problems.length === 0 ? 'whole' : counted(problems.length, 'problem');
  const requests = `${pending} pending, ${replied} replied, ${dead} dead`;
  return `${name}: ${state}\n${[requests, `${keys} keys`, ...otherRecords(report)].join(', ')}\n${more}format ${format}, ${size}\n`;
}
