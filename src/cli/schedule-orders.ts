/** `majordomo durable schedules …`: as an operator, for the schedules of all owners. */
import type { Command } from 'commander';

import { MajordomoError } from '../core/errors.js';
import { EXIT } from '../core/exit.js';
import { adminClient, adminFacts, allOf } from './admin.js';
import type { Facts } from './ask.js';
import { objectOf } from './durable-text.js';
import { addDurable, type DurableOptions, TITANIC } from './durable-filter.js';
import type { Done } from './options.js';
import { print, printable, printJson, say, table } from './output.js';

const SCHEDULES = `${TITANIC}/schedules`;

/** Name, purpose, where it goes, and what the schedule then is. */
const ORDERS = [
  ['pause', 'have one pass over its due times', 'schedules', 'pause', 'is paused'],
  ['resume', 'have a paused one go on from its next due time', 'schedules', 'resume', 'goes on'],
  ['fire', 'store a request for one now', 'schedules', 'fire', 'has stored a request'],
  ['end', 'end one, whoever owns it', 'requests', 'cancel', 'is ended'],
] as const;

const COLUMNS = ['UUID', 'NAME', 'OWNER', 'CRON', 'TIME ZONE', 'SERVICE', 'NEXT', 'STATE', 'LAST'];
const KEYS = ['uuid', 'name', 'owner', 'cron', 'timeZone', 'service', 'next'] as const;

/** Below `schedules`, which lists those of a client. */
export function defineScheduleOrders(command: Command, done: Done): void {
  addDurable(command, 'all', 'list the schedules of all owners, by due time').action(
    async (options: DurableOptions) => {
      const items = await allOf(await adminClient(options), SCHEDULES);
      if (options.output === 'json') await printJson({ items });
      else if (items.length === 0) say('no schedules');
      else {
        await print(
          table(
            COLUMNS.map((head) => ({ head })),
            items.map(rowOf),
          ),
        );
      }
      done(EXIT.done);
    },
  );
  for (const [name, about, place, order, past] of ORDERS) {
    addDurable(command, name, about)
      .argument('<uuid>', 'of the schedule, as in schedules all')
      .action(async (uuid: string, options: DurableOptions) => {
        if (!/^[\dA-Fa-f]{32}$/.test(uuid)) {
          throw new MajordomoError(
            'ERR_USAGE',
            `'${uuid}': a uuid has 32 hexadecimal characters; schedules all lists them, with the token`,
          );
        }
        const path = `${TITANIC}/${place}/${uuid}/${order}`;
        const answer = adminFacts(path, await (await adminClient(options)).post(path));
        if (options.output === 'json') await printJson(answer);
        else await print(`${uuid.toUpperCase()} ${past}\n`);
        done(EXIT.done);
      });
  }
}

function rowOf(schedule: Facts): string[] {
  const cells = KEYS.map((key) => printable(schedule[key] ?? '-'));
  return [...cells, schedule['paused'] === true ? 'paused' : '', lastOf(schedule['last'])];
}

/** The last time it was due, and what came of it. */
function lastOf(last: unknown): string {
  const facts = objectOf(last);
  return facts === null ? '-' : `${printable(facts['at'])}: ${printable(facts['outcome'] ?? '-')}`;
}
