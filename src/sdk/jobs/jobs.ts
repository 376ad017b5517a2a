/** Durable requests of one client: 9/TSP, and `titanic.submit` if the broker offers it. */
import { monotonicMs } from '../../core/clock.js';
import { codeOf, detailsOf, type MajordomoError } from '../../core/errors.js';
import { secureRandom } from '../../core/random.js';
import { MMI_BROKER } from '../../wire/mmi.js';
import {
  isOnceKey,
  onceKey,
  TITANIC_CLOSE,
  TITANIC_REPLY,
  TITANIC_REQUEST,
  TITANIC_SUBMIT,
  type TspExisted,
} from '../../wire/tsp.js';
import { frameList } from '../body.js';
import { sdkError } from '../errors.js';
import { callListener } from '../sdk-events.js';
import type { Asker } from './asker.js';
import { Job, type JobClient, type JobFound, type JobState } from './job.js';
import {
  callSettings,
  checkUuid,
  isUuid,
  type ProgressOptions,
  type ResultOptions,
  restOf,
  type ResultSettings,
  resultSettings,
  type StoredOptions,
  type SubmitSettings,
  submitSettings,
  UUID_BYTES_READ,
} from './job-options.js';
import { jobReply, type Message, type ReceivedProgress } from '../message.js';
import type { RequestOptions, RequestSettings } from '../request-options.js';
import { serviceName } from '../option-reader.js';
import { namesTime, requestSettings } from '../options.js';
import { ProgressReader } from './progress-reader.js';
import { type CallBody, ResultRun } from './result-run.js';
import { questionSettings } from './result-wait.js';
import {
  answerError,
  deathOf,
  notStored,
  readAnswer,
  replyError,
  type TitanicAnswer,
  undoneError,
} from './titanic-answer.js';

const KEY_RANDOM_BYTES = 16;
/** The status of a service of `titanic.*` that the broker does not have. */
const UNKNOWN_SERVICE = 501;

/** A request that is to be stored. */
interface Planned extends SubmitSettings {
  readonly service: string;
  readonly name: Buffer;
  readonly frames: readonly Uint8Array[];
}

export class Jobs implements JobClient {
  readonly #asker: Asker;
  readonly #waits = new Set<ResultRun>();

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  async submit(service: string, body: unknown, options: unknown): Promise<Job> {
    const settings = submitSettings(options, this.#asker.settings);
    return await this.#submit(this.#planned(service, body, settings));
  }

  #planned(service: string, body: unknown, { stored, request }: SubmitSettings): Planned {
    const name = serviceName(service);
    return { service, name, frames: frameList(this.#asker.encode(service, body)), stored, request };
  }

  async #submit({ service, name, frames, stored, request }: Planned): Promise<Job> {
    const began = monotonicMs();
    const canSubmit = await this.#canSubmit(stored, request);
    const rest = restOf(request, began);
    const mayExist = canSubmit && mayHaveExisted(stored);
    const answer = canSubmit
      ? await this.#ask(TITANIC_SUBMIT, [this.#optionsFrame(stored), name, ...frames], rest)
      : // A second send could be stored, too.
        await this.#ask(TITANIC_REQUEST, [name, ...frames], { ...rest, resendMs: Infinity });
    const [first, told] = answer.frames;
    const uuid = first?.toString('latin1', 0, UUID_BYTES_READ);
    if (answer.status === 200 && isUuid(uuid)) {
      return new Job(this, uuid, service, mayExist ? foundIn(told) : null);
    }
    const why = answer.status === 200 ? { ...answer, text: 'without a uuid' } : answer;
    throw notStored(service, why);
  }

  /** Stores a request, waits for its reply and closes it (D122). */
  async call(service: string, body: unknown, options: unknown): Promise<Message> {
    const settings = callSettings(options, this.#asker.settings);
    const planned = this.#planned(service, body, settings);
    const { name, frames, request } = planned;
    let { stored } = planned;
    const tell = (job: Job): void => {
      const { onStored } = settings;
      // Not now: it may close the client, whose connection is being read.
      if (onStored !== undefined) queueMicrotask(() => callListener('onStored', onStored, job));
    };
    // As of a job, there is no limit unless the program names one.
    const timeoutMs = namesTime(options) ? request.timeoutMs : Infinity;
    const { signal } = request;
    const began = monotonicMs();
    if (await this.#canCall(stored, request)) {
      const mayExist = mayHaveExisted(stored);
      // If the broker turns out to be an older one, the request has the same key there.
      stored = { ...stored, key: stored.key ?? randomKey() };
      const call = {
        frames: [this.#optionsFrame(stored), name, ...frames],
        storeMs: restOf(request, began).timeoutMs,
        onStored: (uuid: string, told: Buffer | undefined): void =>
          tell(new Job(this, uuid, service, mayExist ? foundIn(told) : null)),
      };
      const rest = restOf({ timeoutMs }, began).timeoutMs;
      const run = this.#run(call, service, { timeoutMs: rest, signal });
      try {
        const reply = await run.run();
        if (run.uuid !== null) this.#closeSoon(run.uuid);
        return reply;
      } catch (error) {
        const isOlder = run.uuid === null && detailsOf(error)['status'] === UNKNOWN_SERVICE;
        if (!isOlder) throw error;
      }
    }
    const job = await this.#submit({ ...planned, stored, request: restOf(request, began) });
    tell(job);
    const rest = restOf({ timeoutMs }, began).timeoutMs;
    const reply = await this.#run(job.uuid, service, { timeoutMs: rest, signal }).run();
    this.#closeSoon(job.uuid);
    return reply;
  }

  /** Whether the broker answers `titanic.call`. @throws as `#canSubmit` */
  async #canCall(stored: StoredOptions, request: RequestSettings): Promise<boolean> {
    const { version, envelope } = this.#asker.settings;
    // A client of 0.1 gets no parts of an answer; without an envelope one that takes long is taken for lost.
    if (version === 1 || !envelope) return false;
    return (await this.#canSubmit(stored, request)) && this.#asker.broker.offers?.call === true;
  }

  /** Closes a request whose reply is there; nobody waits for that. */
  #closeSoon(uuid: string): void {
    const settings = questionSettings(this.#asker.settings);
    this.#asker.ask(TITANIC_CLOSE, uuid, settings, ignore, ignore);
  }

  job(uuid: unknown, service = TITANIC_REPLY): Job {
    // A service that is not in the contract.
    this.#asker.decodersOf(service);
    return new Job(this, checkUuid(uuid), service);
  }

  async result(
    job: Pick<Job, 'uuid' | 'service'>,
    options: ResultOptions | undefined,
  ): Promise<Message> {
    const settings = resultSettings('result', options);
    return await this.#run(job.uuid, job.service, settings).run();
  }

  #run(request: string | CallBody, service: string, settings: ResultSettings): ResultRun {
    const run = new ResultRun(this.#asker, request, service, settings, () =>
      this.#waits.delete(run),
    );
    this.#waits.add(run);
    return run;
  }

  progress(
    job: Pick<Job, 'uuid' | 'service'>,
    options: ProgressOptions | undefined,
  ): AsyncIterableIterator<ReceivedProgress, undefined> {
    return new ProgressReader(this.#asker, job, resultSettings('progress', options));
  }

  async state(
    job: Pick<Job, 'uuid' | 'service'>,
    options: RequestOptions | undefined,
  ): Promise<JobState> {
    const request = requestSettings(options, this.#asker.settings);
    const reply = await this.#asker.request(TITANIC_REPLY, job.uuid, request);
    const answer = readAnswer(reply.frames);
    switch (answer.status) {
      case 200:
        return {
          state: 'replied',
          reply: jobReply(job.service, this.#asker.decodersOf(job.service), answer.frames),
        };
      case 300:
        return { state: 'pending' };
      case 400:
        return { state: 'unknown' };
      case 500: {
        const death = deathOf(answer);
        if (death !== null) return { state: 'dead', reason: death.text, code: death.code };
        // D63: from brokers that report deaths as such, any other 500 is a passing error.
        if (this.#asker.broker.offers?.fail === true) break;
        return { state: 'dead', reason: answer.text, code: null };
      }
      default:
        throw replyError(answer, job.uuid);
    }
    throw answerError('ERR_TITANIC_REFUSED', `no answer about ${job.uuid}`, answer, job.uuid);
  }

  async closeJob(job: Pick<Job, 'uuid'>, options: RequestOptions | undefined): Promise<void> {
    const request = requestSettings(options, this.#asker.settings);
    const reply = await this.#asker.request(TITANIC_CLOSE, job.uuid, request);
    const answer = readAnswer(reply.frames);
    if (answer.status === 200) return;
    const code = answer.status === 400 ? 'ERR_TITANIC_UNKNOWN' : 'ERR_TITANIC_REFUSED';
    throw undoneError(code, job.uuid, 'closed', answer, job.uuid);
  }

  /** The client is closed. */
  close(error: MajordomoError): void {
    for (const wait of [...this.#waits]) wait.stop(error);
  }

  /**
   * @throws ERR_TITANIC_UNSUPPORTED if an option needs `titanic.submit`, which the broker does not
   * offer
   */
  async #canSubmit(stored: StoredOptions, request: RequestSettings): Promise<boolean> {
    const asked = Object.values(stored).some((value) => value !== undefined);
    const isKnown = await this.#isKnown(asked, request);
    const { offers } = this.#asker.broker;
    if (offers?.submit === true) {
      const later = ['headers', 'backoff', 'group'] as const;
      const missing = later.find((name) => stored[name] !== undefined && !offers[name]);
      if (missing === undefined) return true;
      const what = missing === 'headers' ? missing : `the option ${missing}`;
      throw sdkError('ERR_TITANIC_UNSUPPORTED', `this broker does not support ${what}`);
    }
    if (!asked) return false;
    const what = isKnown ? 'does not support' : 'does not say whether it supports';
    const text = `this broker ${what} titanic.submit, so options of a durable request cannot be used`;
    throw sdkError('ERR_TITANIC_UNSUPPORTED', text);
  }

  /**
   * Asks the broker what it supports, unless that is known.
   * @param isNeeded if there is no answer, the request cannot be stored
   * @returns false if it does not say
   */
  async #isKnown(isNeeded: boolean, request: RequestSettings): Promise<boolean> {
    const { broker } = this.#asker;
    if (broker.offers !== null) return true;
    // On a connection that has only been dialled, an answer may still come.
    if (broker.isSilent && (broker.isConnected || !isNeeded)) return false;
    const began = monotonicMs();
    for (let rest = request; ; rest = restOf(request, began)) {
      // Without an answer, what is left of the time is for a request that can do without.
      const leastMs = Math.ceil(Math.min(rest.timeoutMs / 2, 2 * rest.resendMs));
      const timeoutMs = isNeeded ? rest.timeoutMs : leastMs;
      try {
        const { frames } = await this.#asker.request(MMI_BROKER, '', { ...rest, timeoutMs });
        broker.learn(frames);
        return true;
      } catch (error) {
        const leftMs = began + request.timeoutMs - monotonicMs();
        // No broker was there to be asked.
        if (codeOf(error) === 'ERR_MDP_UNREACHABLE' && leftMs >= 1) continue;
        // 8/MMI is optional: a broker that does not answer it may still know 9/TSP.
        if (!isTimeout(error)) throw error;
        // The question was sent, and did not just wait for a free connection.
        if (detailsOf(error)['sends'] !== 0) broker.missed();
        if (isNeeded) throw error;
        return false;
      }
    }
  }

  /** With a key, because it may be sent twice: after a lost answer it is not stored again (D16). */
  #optionsFrame(stored: StoredOptions): Buffer {
    const key = stored.key ?? randomKey();
    const asks = mayHaveExisted(stored) && this.#asker.broker.offers?.existed === true;
    return Buffer.from(JSON.stringify({ ...stored, key, existed: asks ? true : undefined }));
  }

  async #ask(
    service: string,
    body: readonly Uint8Array[],
    request: RequestSettings,
  ): Promise<TitanicAnswer> {
    return readAnswer((await this.#asker.request(service, body, request)).frames);
  }
}

/** Only a key of the program's own may have been used before. */
function mayHaveExisted({ key }: StoredOptions): boolean {
  return key !== undefined && !isOnceKey(Buffer.from(key));
}

const FOUND_BYTES_MAX = 256;
const FOUND: readonly JobFound[] = ['pending', 'replied', 'dead', 'closed'];

/** @returns `null`: the request is new; `undefined`: the broker does not say */
function foundIn(told: Buffer | undefined): JobFound | null | undefined {
  if (told === undefined || told.length > FOUND_BYTES_MAX) return undefined;
  try {
    const { existed, state } = (JSON.parse(told.toString()) ?? {}) as Partial<TspExisted>;
    if (existed === false) return null;
    return existed === true ? FOUND.find((each) => each === state) : undefined;
  } catch {
    return undefined;
  }
}

function randomKey(): string {
  const bytes = Buffer.alloc(KEY_RANDOM_BYTES);
  secureRandom(bytes);
  return onceKey(bytes);
}

function ignore(): void {
  // Nobody waits for it.
}

function isTimeout(error: unknown): boolean {
  return codeOf(error) === 'ERR_MDP_TIMEOUT';
}
