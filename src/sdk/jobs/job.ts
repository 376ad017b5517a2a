import type { AsyncItems } from '../least-types.js';
import type { EnqueueOptions, ProgressOptions, ResultOptions } from './job-options.js';
import type { Message, ProgressPart } from '../message.js';
import type { RequestOptions } from '../request-options.js';

/**
 * The state of a durable request. *pending*: it waits, or is at a worker. *dead*: its last attempt failed,
 * or a worker said that trying again would fail; the broker makes no more attempts. *unknown*: closed,
 * expired, or never stored.
 */
export type JobState<Value = Buffer> =
  | { readonly state: 'pending' }
  | { readonly state: 'replied'; readonly reply: Message<Value> }
  /** `code`: the code that the service reported; `null`: no worker reported one. */
  | { readonly state: 'dead'; readonly reason: string; readonly code: string | null }
  | { readonly state: 'unknown' };

/** A schedule, as `Client.schedule` and `Client.schedules` return it. */
export interface Schedule {
  /** The name, unique for the key of the client. */
  readonly name: string;
  /** The service of the durable requests. */
  readonly service: string;
  /** The cron line, as given. */
  readonly cron: string;
  /** The time zone whose local times the line names. */
  readonly timeZone: string;
  /** When the schedule is due next. */
  readonly next: Date;
  /** When the schedule was made. */
  readonly since: Date;
  /** How often the schedule was due since then. */
  readonly firings: number;
}

/** In which state `enqueue` found the request that its `idempotencyKey` names. */
export type JobFound = 'pending' | 'replied' | 'dead' | 'closed';

/**
 * Options of `Client.callDurable`: those of `Client.enqueue`, and a function.
 *
 *     await client.callDurable('charge', order, { idempotencyKey: 'order-17' });
 *
 * @typeParam Value what the client's codec reads from a reply
 * @typeParam Progress what it reads from what the worker tells of its progress
 */
export interface CallDurableOptions<Value = Buffer, Progress = Value> extends EnqueueOptions {
  /** Called once, when the request is stored: with its job, whose `progress()` tells what the worker does meanwhile. */
  readonly onStored?: (job: Job<Value, Progress>) => void;
}

/** What names a job to its client. */
type StoredRequest = Pick<Job, 'uuid' | 'service'>;

/** What a job needs of its client. */
export interface JobClient {
  result(job: StoredRequest, options: ResultOptions | undefined): Promise<Message>;
  progress(job: StoredRequest, options: ProgressOptions | undefined): AsyncItems<unknown>;
  state(job: StoredRequest, options: RequestOptions | undefined): Promise<JobState>;
  closeJob(job: StoredRequest, options: RequestOptions | undefined): Promise<void>;
}

/**
 * A durable request. To find it again you need only its uuid: `client.job(uuid)`.
 *
 *     const job = await client.enqueue('render', scene, { idempotencyKey: 'order-17' });
 *     const reply = await job.result({ timeoutMs: 60_000 });
 *     await job.close();
 *
 * @typeParam Value what the client's codec reads from a reply
 * @typeParam Progress what it reads from what the worker tells of its progress
 */
export class Job<Value = Buffer, Progress = Value> {
  /**
   * What you need to find the request again; without a CURVE key, the only credential for its reply:
   * keep it secret.
   */
  readonly uuid: string;
  /** The requested service; `titanic.reply` if the job was created from its uuid. */
  readonly service: string;
  /**
   * Whether the request of the `idempotencyKey` existed before `enqueue`, which then stored nothing; also if `enqueue`
   * itself had sent it before, and the answer was lost. `null`: not known, because the job was created from its uuid,
   * or the broker does not say.
   */
  readonly existed: boolean | null;
  /**
   * The state of a request that existed; `null`: none did, or that is not known. `dead`: `result()` rejects with the
   * failure of that time. `closed`: nothing is left of it but its key. To begin anew, use another key; an operator can
   * also have a dead one tried again.
   */
  readonly found: JobFound | null;
  readonly #client: JobClient;

  /** @param found `undefined`: not known; `null`: it is new */
  constructor(client: JobClient, uuid: string, service: string, found?: JobFound | null) {
    this.#client = client;
    this.uuid = uuid;
    this.service = service;
    this.existed = found === undefined ? null : found !== null;
    this.found = found ?? null;
  }

  /**
   * Waits for the reply, across broker restarts and lost connections. The reply stays stored until
   * `close`, or until `titanic.replyTtlMs` (7 days) has passed.
   *
   * Rejects with a `ServiceError` (ERR_SERVICE_FAILED) if the request is dead and a worker reported why, and
   * with ERR_TITANIC_PENDING, ERR_TITANIC_DEAD, ERR_TITANIC_UNKNOWN, ERR_TITANIC_REFUSED,
   * ERR_MDP_UNREACHABLE, ERR_MDP_REFUSED, ERR_MDP_ABORTED, ERR_MDP_CLOSED, ERR_MDP_LIMIT or
   * ERR_MDP_OPTION.
   */
  result(options?: ResultOptions): Promise<Message<Value>> {
    return this.#client.result(this, options) as Promise<Message<Value>>;
  }

  /**
   * Yields what the worker tells of its progress while it works (`context.progress`), and the parts of its reply (a
   * handler that is a generator), what it has sent already first, and ends when the reply is there: then ask
   * `result()`, which has the frames of all parts, and no progress. Each attempt begins again: see `attempt` and
   * `index`.
   *
   *     for await (const part of job.progress()) console.log(part.attempt, part.index, part.text());
   *     const reply = await job.result();
   *
   * Parts are only in the broker's memory: they are lost when it ends, or when an attempt fails. `timeoutMs`
   * is the longest wait for each. The iterator throws what `result` rejects with, and
   * ERR_TITANIC_UNSUPPORTED if the broker cannot tell.
   * @throws ERR_MDP_OPTION
   */
  progress(options?: ProgressOptions): AsyncItems<ProgressPart<Value, Progress>> {
    const parts: AsyncIterableIterator<unknown> = this.#client.progress(this, options);
    return parts as AsyncItems<ProgressPart<Value, Progress>>;
  }

  /** Asks the broker once. Rejects as `Client.request` does, and with ERR_TITANIC_REFUSED. */
  state(options?: RequestOptions): Promise<JobState<Value>> {
    return this.#client.state(this, options) as Promise<JobState<Value>>;
  }

  /**
   * Stops the request: `request.signal` aborts in a handler that works on it. The same as `close`.
   *
   *     await job.cancel();
   */
  cancel(options?: RequestOptions): Promise<void> {
    return this.close(options);
  }

  /**
   * Deletes the request and its reply, and stops further attempts. It is safe to close twice. Rejects as
   * `Client.request` does, and with ERR_TITANIC_REFUSED.
   */
  close(options?: RequestOptions): Promise<void> {
    return this.#client.closeJob(this, options);
  }
}
