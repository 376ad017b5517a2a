/** The options that select stored requests, as HTTP has them. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { momentIn } from '../../core/moment.js';
import { isWork, RECORD_KINDS, type RecordKind } from '../../store/record-kind.js';
import { addSubcommand, given } from '../common/options.js';
import { addOperatorOptions, type AskOptions } from '../connection/options.js';

/** Under the names of HTTP. */
interface FilterOptions {
  readonly service?: ServiceFilter;
  readonly state?: string;
  readonly kind?: string;
  readonly group?: string;
  readonly reason?: string;
  readonly pattern?: string;
  readonly code?: string;
  readonly header?: string;
  readonly uuid?: string;
  readonly since?: string;
  readonly olderThan?: string;
  readonly diedSince?: string;
  readonly diedBefore?: string;
}

export interface DurableOptions extends AskOptions, FilterOptions {}

interface ServiceFilter {
  readonly service: string;
  readonly serviceMatch: 'exact' | 'prefix' | 'substring';
}

export const TITANIC = '/api/v1/titanic';
/** The kinds of records that commands change, and those that are only listed. */
const KINDS = [isWork, (kind: RecordKind) => !isWork(kind)].map((is) =>
  RECORD_KINDS.filter(is).join(', '),
);

/** A step of a long order takes a second, on a slow disk several. */
const TIMEOUT_MS = 30_000;

export const FILTER_TEXT = `
--service 'pay*' takes the services whose names begin so, '*pay*' those with it anywhere; %2A is the character *.
AGE|TIME is an age (90s, 15m, 2h, 7d) or a time (2026-11-26, 2026-11-26T17:00Z). --group, --reason, --pattern, --code
and --header need the token.
`;

/** A command below `durable`, with the options for the broker and the output. */
export function addDurable(
  command: Command,
  name: string,
  summary: string,
  more: 'list' | null = null,
): Command {
  const made = addSubcommand(command, name, summary);
  return addOperatorOptions(made, more, TIMEOUT_MS);
}

export function addFilters(command: Command, states: readonly string[]): Command {
  const moment = (flags: string, about: string): Option =>
    new Option(flags, about).argParser(readMoment);
  return command
    .addOption(
      new Option(
        '--service <name>',
        "only this service, named as in lists; 'NAME*', '*PART*': all that match",
      ).argParser(readService),
    )
    .addOption(new Option('--state <state>', 'only requests in this state').choices(states))
    .option('--kind <kind>', `only this kind: ${KINDS[0]}; in lists also ${KINDS[1]}`)
    .option('--group <name>', 'only requests of this group, named as in lists')
    .option('--reason <text>', 'only requests whose reason has this text in it')
    .option('--pattern <pattern>', 'only requests of a group: its PATTERN in --group-by reason')
    .option('--code <code>', "only requests that failed with this code; '': not failed yet")
    .option('--header <name=value>', 'only requests with this header')
    .option('--uuid <digits>', 'only requests whose uuid begins with this')
    .addOption(moment('--since <age|time>', 'only requests accepted since then'))
    .addOption(
      moment('--older-than <age|time>', 'only requests accepted longer ago than this, or before'),
    )
    .addOption(moment('--died-since <age|time>', 'only requests that died since then'))
    .addOption(moment('--died-before <age|time>', 'only requests that died before then'));
}

/** Checks an age or a time: the broker reads it, by its clock. */
function readMoment(text: string): string {
  if (momentIn(text) !== null) return text;
  throw new InvalidArgumentError(
    'Expected a number and a unit (90s, 15m, 2h, 7d), or a time (2026-11-26T17:00Z).',
  );
}

function readService(text: string): ServiceFilter {
  const [, before = '', name = '', after = ''] = /^(\*?)([^*]+)(\*?)$/.exec(text) ?? [];
  if (name === '' || (before !== '' && after === '')) {
    throw new InvalidArgumentError("Expected NAME, 'NAME*' or '*PART*'; %2A is the character *.");
  }
  const match = before !== '' ? 'substring' : after !== '' ? 'prefix' : 'exact';
  return { service: name, serviceMatch: match };
}

/** The filter as fields of HTTP; empty: none is given. */
export function filterOf(options: FilterOptions): Readonly<Record<string, string>> {
  const { service, state, kind, group, reason, pattern, code, header, uuid } = options;
  return given({
    ...service,
    state,
    kind,
    group,
    reason,
    pattern,
    code,
    header,
    uuid,
    acceptedAfter: options.since,
    acceptedBefore: options.olderThan,
    diedAfter: options.diedSince,
    diedBefore: options.diedBefore,
  });
}
