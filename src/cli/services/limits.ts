/** `majordomo services limit` and `unlimit`: limits of a service that operators set while the broker runs. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { MajordomoError } from '../../core/errors.js';
import {
  type FlatLimits,
  limitsText,
  RATE_MIN,
  RUN_LIMIT_MAX,
  writtenLimits,
} from '../../core/run-limits.js';
import { tell } from '../common/formats.js';
import { addSubcommand, examples, integerOption } from '../common/options.js';
import { printable } from '../common/output.js';
import { Broker } from '../connection/broker.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';

type LimitOptions = AskOptions & FlatLimits;

const EXAMPLES = [
  ['majordomo services limit report --running 20', 'at most 20 requests at workers at once'],
  ['majordomo services limit geocode --per-second 5', 'an API that allows five calls a second'],
  ["majordomo services limit 'device.a' --group-running 1", 'one at a time for each device'],
  ['majordomo services unlimit report', 'the limits of the configuration hold again'],
] as const;

const KEPT = `The limits are stored: they outlive a restart, and the other node of a pair and the brokers that share the
database have them, too; each broker counts for itself. It needs http.token, and titanic.enabled at the broker.
`;

const AFTER_LIMIT = `${examples(EXAMPLES)}
They hold at once, for exactly this name, in place of all limits that the configuration (broker.services) or an operator
set before. What runs goes on, and counts. majordomo services show tells them, and who set them.
${KEPT}`;

const AFTER_UNLIMIT = `
The limits of the configuration (broker.services) hold again at once, if there are any.
It needs http.token, and titanic.enabled at the broker.
`;

export function defineLimits(parent: Command): void {
  const limit = addSubcommand(parent, 'limit', 'limit how much of a service runs and starts');
  limit
    .argument('<service>', 'named as in lists')
    .addOption(count('--running <n>', 'requests at workers at once'))
    .addOption(rate('--per-second <rate>', 'starts per second'))
    .addOption(count('--burst <n>', 'starts at once after a pause (with --per-second)'))
    .addOption(count('--group-running <n>', 'of each group: requests at workers at once'))
    .addOption(rate('--group-per-second <rate>', 'of each group: starts per second'))
    .addOption(count('--group-burst <n>', 'of each group: starts at once after a pause'))
    .addOption(
      new Option(
        '--on-failure <what>',
        'whether a durable request that waits for its next attempt holds its group',
      ).choices(['hold', 'pass']),
    );
  addOperatorOptions(limit)
    .addHelpText('after', AFTER_LIMIT)
    .action(async (service: string, options: LimitOptions) => {
      const { running, perSecond, burst, groupRunning, groupPerSecond, groupBurst, onFailure } =
        options;
      const own = { running, perSecond, burst };
      const ofGroups = { groupRunning, groupPerSecond, groupBurst, onFailure };
      const given = Object.entries({ ...own, ...ofGroups }).filter(
        ([, value]) => value !== undefined,
      );
      if (given.length === 0) throw new MajordomoError('ERR_USAGE', NO_LIMIT);
      const limits = Object.fromEntries(given) as FlatLimits;
      const admin = await new Broker(options).admin();
      const answer = await admin.post(pathOf(service, 'limit'), { ...limits });
      const text = limitsText(writtenLimits(limits));
      await tell(options.output, answer, `${printable(service)} is limited: ${text}\n`);
    });
  const unlimit = addSubcommand(parent, 'unlimit', 'take limits of operators away from a service');
  addOperatorOptions(unlimit.argument('<service>', 'named as in lists'))
    .addHelpText('after', AFTER_UNLIMIT)
    .action(async (service: string, options: AskOptions) => {
      const admin = await new Broker(options).admin();
      const answer = await admin.post(pathOf(service, 'unlimit'));
      await tell(options.output, answer, `${printable(service)} has no limits of operators\n`);
    });
}

const NO_LIMIT = 'give at least one limit, such as --running 5';

function pathOf(service: string, order: string): string {
  return `/api/v1/services/${encodeURIComponent(service)}/${order}`;
}

function count(flags: string, about: string): Option {
  return integerOption(flags, about, 1, RUN_LIMIT_MAX);
}

function rate(flags: string, about: string): Option {
  return new Option(flags, about).argParser((text: string): number => {
    const value = /^\d{1,7}(\.\d{1,6})?$/.test(text) ? Number(text) : NaN;
    if (value >= RATE_MIN && value <= RUN_LIMIT_MAX) return value;
    throw new InvalidArgumentError(`It must be a number from ${RATE_MIN} to ${RUN_LIMIT_MAX}.`);
  });
}
