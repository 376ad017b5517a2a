/** `majordomo migrate`: moves the durable requests of a store file into a database. */
import { join } from 'node:path';
import type { Command } from 'commander';

import { databaseAddressOf, isPostgres } from '../../../core/postgres-url.js';
import { load } from '../../../cli/common/load-config.js';
import { addOutputOption, type OutputOptions, tell } from '../../../cli/common/formats.js';
import {
  addConfigOptions,
  type ConfigOptions,
  type Done,
  examples,
  usage,
} from '../../../cli/common/options.js';
import { say, shownParts } from '../../../cli/common/output.js';
import type { Program } from '../../../cli/program.js';
import { otherRecords } from '../../../store/record-kind.js';
import { Progress } from '../../../cli/common/progress.js';
import type { Migration } from '../migration.js';

interface MigrateOptions extends ConfigOptions, OutputOptions {
  readonly from?: string;
  readonly to?: string;
  readonly storePasswordFile?: string;
  readonly force?: true;
  readonly withoutMap?: true;
}

const EXAMPLES = [
  [
    'majordomo migrate --from data/titanic.db --to postgresql://majordomo@db1/queue',
    'a store file, into an empty database',
  ],
  [
    'majordomo migrate -c /etc/majordomo.yaml',
    'the file in node.dataDir, into the database of titanic.store',
  ],
  ['majordomo verify -c /etc/majordomo.yaml', 'check the database'],
  ['majordomo backup -c /etc/majordomo.yaml back.db', 'back: the database as a store file'],
] as const;

const AFTER = `${examples(EXAMPLES)}
Stop the broker first. All receipts stay good: uuids, keys, attempts, replies, schedules. The command
compares the database with the file, then marks the file: serve refuses it from then on (78) and says
where its requests are. If the command ends early, run it again: it continues. Until it is done, serve
refuses the database. The database must be empty, and no broker may use it.

Of a pair, move the file of the node that was active last, after both were in sync; stop the passive node
first. If the active node served without its peer, the command refuses, unless --force is given.

Keys of the map are not moved: a broker with a database has no map. A file that holds any, or records of an
extension that this version does not know, is refused, unless --without-map leaves them behind in the file.

Exit status: 0 done · 64 usage · 69 the broker runs, a broker uses the database, or it cannot be reached
74 disk, the file is damaged or no Majordomo store, or the copy differs · 78 configuration, the database or the file is refused
`;

export function define(command: Command, _done: Done, program: Program): void {
  addOutputOption(addConfigOptions(command))
    .option('--from <file>', 'the store file (default: that of the configuration)')
    .option('--to <url>', 'postgresql://USER@HOST/DATABASE (default: titanic.store)')
    .option(
      '--store-password-file <file>',
      'file with the password (default: titanic.storePasswordFile)',
    )
    .option('--force', 'move the file of a pair that was not in sync')
    .option('--without-map', 'leave keys of the map behind')
    .addHelpText('after', AFTER)
    .action(async (options: MigrateOptions) => {
      const { from, to, passwordFile } = placesOf(options);
      const { migrateStore } = await import('../migration.js');
      const checking = new Progress(`check ${from}`);
      const copying = new Progress(`migrate ${from}`);
      const comparing = new Progress('compare');
      const shown = { check: checking, copy: copying, compare: comparing };
      let moved: Migration;
      try {
        moved = await migrateStore({
          from,
          to,
          passwordFile,
          say,
          isForced: options.force === true,
          mayLeaveParts: options.withoutMap === true,
          shownParts: async (parts) => {
            const shown = await shownParts(parts, program);
            return shown.flatMap(({ records, text }) => (records === 0 ? [] : text)).join(', ');
          },
          onProgress: (step, at, all) => shown[step].show(at, all),
        });
      } finally {
        for (const each of Object.values(shown)) each.end();
      }
      const { database, how, copied, copyMs, ...counts } = moved;
      const seconds = Math.round(copyMs) / 1000;
      const perSecond = copied === 0 ? 0 : Math.round(copied / (copyMs / 1000));
      const { pending, replied, dead, keys } = counts;
      const requests = `${pending} pending, ${replied} replied, ${dead} dead`;
      const speed = `${copied} requests copied in ${seconds.toFixed(1)} s, ${perSecond} a second\n`;
      await tell(
        options.output,
        { from, database, how, ...counts, copied, seconds, perSecond },
        `${HOW[how](from, database)}\n` +
          `${[requests, `${keys} keys`, ...otherRecords(counts)].join(', ')}\n` +
          (how === 'already' ? '' : speed),
      );
    });
}

const HOW = {
  first: (from: string, to: string) => `${from}: moved to ${to}`,
  resumed: (from: string, to: string) => `${from}: moved to ${to}, continued`,
  anew: (from: string, to: string) =>
    `${from}: moved to ${to}, anew: a broker had used the file since the last try`,
  already: (from: string, to: string) => `${from}: was moved to ${to} before`,
} as const;

/** @throws ERR_USAGE, ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
function placesOf(options: MigrateOptions): {
  readonly from: string;
  readonly to: string;
  readonly passwordFile: string | null;
} {
  const { node, titanic } = load(options).config;
  const from = options.from ?? join(node.dataDir, titanic.file);
  const to = options.to ?? titanic.store;
  if (options.to === undefined && !isPostgres(to)) {
    throw usage('where to: give --to, or set titanic.store to a database');
  }
  const place = isPostgres(to)
    ? databaseAddressOf(to)
    : 'not of the form postgresql://USER@HOST/DATABASE';
  // Not with the text that was given, which may have a password in it.
  if (typeof place === 'string') throw usage(`--to: ${place}`);
  return { from, to, passwordFile: options.storePasswordFile ?? titanic.storePasswordFile };
}
