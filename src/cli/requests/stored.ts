/** Stored requests of `majordomo request`: `--durable`, `--result`, `--close`. */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { codeOf, MajordomoError } from '../../core/errors.js';
import type { Client, EnqueueOptions, Job, JobFound } from '../../sdk/client.js';
import { JOB_ROWS, type JobOptions } from '../../sdk/jobs/job-options.js';
import { readAnswer, undoneError } from '../../sdk/jobs/titanic-answer.js';
import { tell } from '../common/formats.js';
import { tellFrames } from '../common/frames.js';
import { checkUuid, given, integerOption, usage } from '../common/options.js';
import { say, shownName } from '../common/output.js';
import type { AskOptions } from '../connection/options.js';
import { explainedFailure, unserved } from './failures.js';

export interface StoredCommandOptions extends AskOptions {
  readonly detail?: boolean;
  readonly durable?: boolean;
  /** True: `--wait`; false: `--no-wait`. */
  readonly wait?: boolean;
  readonly result?: string;
  readonly close?: string;
  readonly key?: string;
}

/** How long a command may take. */
export interface Patience {
  /** What is left of `--timeout-ms`, if it was given. */
  readonly rest: () => Pick<EnqueueOptions, 'timeoutMs'>;
}

const RESULT_MS_MAX = 365 * 86_400_000;
/** A wait longer than this prints the uuid first: otherwise it is lost with the terminal. */
const QUIET_MS = 1000;

export function addStoredOptions(command: Command): Command {
  command
    .addOption(
      new Option(
        '--durable',
        'make it a durable request: the broker stores it; wait, print the reply',
      ).conflicts(['stream', 'result', 'close']),
    )
    .option('--no-wait', 'with --durable: print the uuid and do not wait')
    .option('--key <key>', 'with --durable: idempotency key; the same key gives the same request');
  return addJobOptions(command, 'with --durable: ')
    .addOption(
      new Option('--result <uuid>', 'print the reply of a durable request').conflicts([
        'stream',
        'close',
      ]),
    )
    .addOption(
      new Option('--close <uuid>', 'delete a durable request and its reply').conflicts(['stream']),
    );
}

type JobRow = (typeof JOB_ROWS)[number];

/**
 * Options of a request that is stored.
 * @param when begins what help says of those that a plain request does not have
 */
export function addJobOptions(command: Command, when: string): Command {
  for (const row of JOB_ROWS) {
    const about = row.name === 'group' ? row.about : `${when}${row.about}`;
    command.addOption(optionOf(row, about));
  }
  return command;
}

const FLAGS = JOB_ROWS.map((row) => {
  const option = optionOf(row, '');
  return { name: row.name, flag: option.long, attribute: option.attributeName() };
});

/** Returns the options of a stored request that were given. */
export function jobOptionsIn(options: object): JobOptions {
  const all: Readonly<Record<string, unknown>> = { ...options };
  return given(Object.fromEntries(FLAGS.map(({ name, attribute }) => [name, all[attribute]])));
}

function optionOf(row: JobRow, about: string): Option {
  const flag = `--${row.name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (row.type === 'flag') return new Option(flag, about);
  const { min, max, isValid, what } = row;
  switch (row.type) {
    case 'whole':
      return integerOption(`${flag} <${flag.endsWith('-ms') ? 'ms' : 'n'}>`, about, min, max);
    case 'text':
    case 'url':
      return new Option(`${flag} <${row.type}>`, about).argParser((text) => {
        if (isValid(text)) return text;
        throw new InvalidArgumentError(`It must be ${what}.`);
      });
    case 'pauses':
      return new Option(`${flag}-ms <base..max>`, about).argParser((text) => {
        const [, baseMs, maxMs] = /^(\d{1,8})\.\.(\d{1,8})$/.exec(text) ?? [];
        const pauses = { baseMs: Number(baseMs), maxMs: Number(maxMs) };
        if (isValid(pauses)) return pauses;
        throw new InvalidArgumentError(
          `It is two numbers of milliseconds from ${min} to ${max}, the smaller first: 500..60000`,
        );
      });
  }
}

/** @throws ERR_USAGE if the options do not go together */
export function checkStoredOptions(
  service: string | undefined,
  options: StoredCommandOptions,
): void {
  const about = options.result ?? options.close;
  if (about !== undefined) {
    const option = options.result === undefined ? '--close' : '--result';
    if (service !== undefined) throw usage(`${option} takes a uuid and no service`);
    checkUuid(about, `${option} `);
  }
  const bytes = Buffer.byteLength(options.key ?? 'none');
  if (bytes < 1 || bytes > 255) throw usage('--key: a key has 1 to 255 bytes');
  if (options.durable === true) return;
  if (options.wait === false) throw usage('--no-wait needs --durable');
  const chosen = jobOptionsIn(options);
  const isPlain = about === undefined;
  const first = FLAGS.find(
    ({ name }) => chosen[name] !== undefined && !(isPlain && name === 'group'),
  )?.flag;
  if (first !== undefined || options.key !== undefined) {
    throw usage(`${first ?? '--key'} needs --durable`);
  }
}

/**
 * Stores a request; by default also waits for its reply, prints it and closes the request.
 */
export async function askDurably(
  client: Client,
  service: string,
  body: readonly (string | Uint8Array)[],
  options: StoredCommandOptions,
  patience: Patience,
): Promise<void> {
  const chosen: EnqueueOptions = {
    ...patience.rest(),
    ...jobOptionsIn(options),
    ...given({ idempotencyKey: options.key }),
  };
  if (options.wait === false) {
    const job = await client.enqueue(service, body, chosen);
    sayFound(job);
    const { uuid, existed } = job;
    await tell(options.output, { uuid, existed }, `${uuid}\n`);
    await reportNoWorker(client, service);
    return;
  }
  const shown = shownName(service);
  const said: { uuid?: string; timer?: NodeJS.Timeout; isTold?: true } = {};
  const onStored = (job: Job): void => {
    said.uuid = job.uuid;
    sayFound(job);
    void reportNoWorker(client, service);
    said.timer = setTimeout(() => {
      said.isTold = true;
      say(`stored as ${job.uuid}; waiting for its reply`);
    }, QUIET_MS);
  };
  try {
    const { frames } = await client.callDurable(service, body, { ...chosen, onStored });
    await tellFrames(options.output, frames, { ...given({ uuid: said.uuid }), service: shown });
  } catch (error) {
    const { uuid, isTold } = said;
    if (uuid === undefined) throw error;
    if (isTold !== true) say(`stored as ${uuid}`);
    throw await explainedFailure(error, options, { uuid, service: shown });
  } finally {
    clearTimeout(said.timer);
  }
}

function sayFound({ found }: Job): void {
  const note = found === null ? undefined : NOTES[found];
  if (note !== undefined) say(note);
}

/** What is said of a request that had ended before its key was given again. */
const NOTES: Readonly<Partial<Record<JobFound, string>>> = {
  dead: 'the request of this key is dead: to begin anew, use another key, or `majordomo durable retry UUID`',
  closed: 'the request of this key is closed: to begin anew, use another key',
};

/** A stored request waits for a worker: say so if there is none. */
async function reportNoWorker(client: Client, service: string): Promise<void> {
  const obstacle = await unserved(client, service);
  if (obstacle !== null) say(`${obstacle} The request is stored and waits for a worker`);
}

/** Prints the reply of a stored request, which stays stored. */
export async function printResult(
  client: Client,
  uuid: string,
  options: StoredCommandOptions,
  resultMs: number,
): Promise<void> {
  let frames: readonly Buffer[];
  try {
    ({ frames } = await client.job(uuid).result({ timeoutMs: within(resultMs) }));
  } catch (error) {
    const state = STATES.get(codeOf(error) ?? '');
    if (state !== undefined) await tell(options.output, { uuid, state }, '');
    throw await explainedFailure(error, options, { uuid, state: 'dead' });
  }
  await tellFrames(options.output, frames, { uuid, state: 'replied' });
}

const STATES: ReadonlyMap<string, string> = new Map([
  ['ERR_TITANIC_PENDING', 'pending'],
  ['ERR_TITANIC_DEAD', 'dead'],
  ['ERR_TITANIC_UNKNOWN', 'unknown'],
]);

/** Deletes a stored request; an unknown one counts as deleted. */
export async function closeStored(
  client: Client,
  uuid: string,
  { output }: StoredCommandOptions,
): Promise<void> {
  await client.job(uuid).close();
  await tell(output, { uuid, closed: true }, '');
}

/** Deletes a stored request. @throws ERR_TITANIC_UNKNOWN if there is none */
export async function closeKnown(
  client: Client,
  uuid: string,
  { output }: StoredCommandOptions,
): Promise<void> {
  const { frames } = await client.request('titanic.close', [uuid, 'strict']);
  const answer = readAnswer(frames);
  const isClosed = answer.status === 200;
  const isUnknown = answer.status === 400 && answer.text === 'unknown';
  if (isClosed || isUnknown) await tell(output, { uuid, closed: isClosed }, '');
  if (isUnknown) {
    throw new MajordomoError('ERR_TITANIC_UNKNOWN', `${uuid} is unknown, or already closed`);
  }
  if (!isClosed) throw undoneError('ERR_TITANIC_REFUSED', uuid, 'closed', answer, uuid);
}

function within(ms: number): number {
  return Math.min(ms, RESULT_MS_MAX);
}
