/** Schedules of one client: `titanic.schedule`, `titanic.unschedule`, `titanic.schedules`. */
import { monotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import { unescapeName } from '../../core/escape.js';
import { isCount } from '../../core/numbers.js';
import { readJsonObject } from '../../wire/json-object.js';
import { TITANIC_SCHEDULE, TITANIC_SCHEDULES, TITANIC_UNSCHEDULE } from '../../wire/tsp.js';
import { frameList } from '../body.js';
import { sdkError } from '../errors.js';
import { requestSettings } from '../options.js';
import type { RequestOptions, RequestSettings } from '../request-options.js';
import { serviceName } from '../option-reader.js';
import { restOf, scheduleName, scheduleSettings } from './job-options.js';
import type { Asker } from './asker.js';
import type { Schedule } from './job.js';
import { answerError, readAnswer, type TitanicAnswer, undoneError } from './titanic-answer.js';

const REFUSED = 'ERR_TITANIC_REFUSED';

export class Schedules {
  readonly #asker: Pick<Asker, 'settings' | 'encode' | 'request'>;

  constructor(asker: Pick<Asker, 'settings' | 'encode' | 'request'>) {
    this.#asker = asker;
  }

  async schedule(
    name: unknown,
    service: string,
    body: unknown,
    options: unknown,
  ): Promise<Schedule> {
    const { cron, timeZone, stored, request } = scheduleSettings(options, this.#asker.settings);
    const given = { ...stored, name: scheduleName(name), cron, timeZone };
    const frames = [Buffer.from(JSON.stringify(given)), Buffer.from(serviceName(service))];
    frames.push(...frameList(this.#asker.encode(service, body)).map((frame) => Buffer.from(frame)));
    const undone = (answer: TitanicAnswer): MajordomoError =>
      undoneError(REFUSED, `the schedule '${given.name}'`, 'stored', answer);
    return scheduleOf(await this.#ask(TITANIC_SCHEDULE, frames, request, undone));
  }

  async unschedule(name: unknown, options: RequestOptions | undefined): Promise<boolean> {
    const known = scheduleName(name);
    const undone = (answer: TitanicAnswer): MajordomoError =>
      undoneError(REFUSED, `the schedule '${known}'`, 'ended', answer);
    const request = requestSettings(options, this.#asker.settings);
    const answer = await this.#ask(TITANIC_UNSCHEDULE, [Buffer.from(known)], request, undone);
    return answer['removed'] === true;
  }

  async list(options: RequestOptions | undefined): Promise<Schedule[]> {
    const found: Schedule[] = [];
    const request = requestSettings(options, this.#asker.settings);
    const began = monotonicMs();
    for (let after: unknown = ''; typeof after === 'string';) {
      const frame = Buffer.from(after === '' ? '' : JSON.stringify({ after }));
      const rest = restOf(request, began);
      const answer = await this.#ask(TITANIC_SCHEDULES, [frame], rest, notListed);
      const { schedules, next } = answer;
      if (!Array.isArray(schedules)) throw notUnderstood();
      for (const each of schedules) found.push(scheduleOf(each));
      // A page that does not go on would be asked for forever.
      after = typeof next === 'string' && next > after ? next : null;
    }
    return found;
  }

  async #ask(
    service: string,
    body: readonly Buffer[],
    request: RequestSettings,
    refused: (answer: TitanicAnswer) => MajordomoError,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = readAnswer((await this.#asker.request(service, body, request)).frames);
    if (answer.status === 501) {
      throw sdkError('ERR_TITANIC_UNSUPPORTED', 'this broker does not support schedules');
    }
    if (answer.status !== 200) throw refused(answer);
    const [frame] = answer.frames;
    const json = frame === undefined ? null : readJsonObject(frame);
    if (json === null) throw notUnderstood();
    return json;
  }
}

function scheduleOf(value: unknown): Schedule {
  const given: Readonly<Record<string, unknown>> = { ...(value as object) };
  const text = (key: string): string => {
    const found = given[key];
    if (typeof found !== 'string') throw notUnderstood();
    return found;
  };
  const time = (key: string): Date => {
    const date = new Date(text(key));
    if (Number.isNaN(date.getTime())) throw notUnderstood();
    return date;
  };
  const { firings } = given;
  if (!isCount(firings)) throw notUnderstood();
  const service = text('service');
  return {
    name: text('name'),
    service: unescapeName(service)?.toString('utf8') ?? service,
    cron: text('cron'),
    timeZone: text('timeZone'),
    next: time('next'),
    since: time('since'),
    firings,
  };
}

function notUnderstood(): Error {
  const answer = { status: 200, text: 'not a schedule', frames: [] };
  return answerError('ERR_TITANIC_REFUSED', 'the answer is not understood', answer);
}

function notListed(answer: TitanicAnswer): MajordomoError {
  return answerError(REFUSED, 'no list of schedules', answer);
}
