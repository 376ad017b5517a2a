/** A wait for the reply of a durable request, which it may have stored first: its questions, its timer, its signal. */
import { monotonicMs } from '../../core/clock.js';
import type { MajordomoError } from '../../core/errors.js';
import { MMI_BROKER } from '../../wire/mmi.js';
import { TITANIC_CALL, TITANIC_REPLY, TITANIC_WAIT } from '../../wire/tsp.js';
import type { Call, CallOwner } from '../client/call.js';
import { sdkError } from '../errors.js';
import { isUuid, type ResultSettings, UUID_BYTES_READ } from './job-options.js';
import type { Asker } from './asker.js';
import { jobReply, type Message } from '../message.js';
import type { RequestSettings } from '../request-options.js';
import { type Question, questionSettings, ResultWait, waitSettings } from './result-wait.js';
import { Ticker } from '../ticker.js';
import { readAnswer, whyPending } from './titanic-answer.js';

/** Of a request that is stored. */
const STORED: CallBody = { frames: [], storeMs: Infinity, onStored: () => undefined };

/** A request that is to be stored (D122). */
export interface CallBody {
  /** The body of `titanic.call`. */
  readonly frames: readonly Uint8Array[];
  /** How long it may take until it is stored. */
  readonly storeMs: number;
  /** Called once, when it is. @param told the frame behind its uuid */
  readonly onStored: (uuid: string, told: Buffer | undefined) => void;
}

export class ResultRun {
  readonly #asker: Asker;
  readonly #service: string;
  readonly #body: CallBody;
  readonly #signal: AbortSignal | undefined;
  readonly #ended: () => void;
  readonly #wait: ResultWait;
  readonly #ticker: Ticker;
  #call: Call | null = null;
  #resolve: (reply: Message) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  /**
   * @param request its uuid, or what is to be stored
   * @param ended called once, when the promise of `run` settles
   */
  constructor(
    asker: Asker,
    request: string | CallBody,
    service: string,
    settings: ResultSettings,
    ended: () => void,
  ) {
    this.#asker = asker;
    const [uuid, body] = typeof request === 'string' ? [request, STORED] : [null, request];
    this.#body = body;
    this.#service = service;
    this.#signal = settings.signal;
    this.#ended = ended;
    const { retryBaseMs, retryMaxMs } = asker.settings;
    this.#wait = new ResultWait(
      {
        uuid,
        storeMs: body.storeMs,
        service,
        timeoutMs: settings.timeoutMs,
        retryBaseMs,
        retryMaxMs,
        offersWait: () => asker.broker.offers?.wait ?? null,
        offersFail: () => asker.broker.offers?.fail === true,
        why: () => whyPending(this.uuid ?? '', service, asker.broker.whyOf(service)),
      },
      {
        ask: (question, waitMs) => this.#ask(question, waitMs),
        askWhy: () => asker.broker.askWhyNow(service),
        giveUp: () => this.#giveUp(),
        done: (frames) => {
          this.#end();
          this.#resolve(jobReply(this.#service, this.#asker.decodersOf(this.#service), frames));
        },
        fail: (error) => {
          this.#end();
          this.#reject(error);
        },
      },
      Math.random,
    );
    this.#ticker = new Ticker((now) => {
      this.#wait.tick(now);
      return this.#wait.nextMs();
    });
  }

  /** The uuid of the request; `null`: it is not known to be stored. */
  get uuid(): string | null {
    return this.#wait.uuid;
  }

  run(): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#signal?.aborted === true) {
        this.#aborted();
        return;
      }
      this.#signal?.addEventListener('abort', this.#aborted, { once: true });
      this.#wait.start(monotonicMs());
      this.#ticker.want(this.#wait.nextMs());
    });
  }

  /** Ends it from outside: the client is closed, or nobody waits any longer. */
  stop(error: MajordomoError): void {
    const call = this.#call;
    this.#end();
    if (call !== null) this.#asker.abandon(call);
    this.#reject(error);
  }

  readonly #aborted = (): void => {
    const cause: unknown = this.#signal?.reason;
    this.stop(sdkError('ERR_MDP_ABORTED', 'the wait for the reply was aborted', { cause }));
  };

  #end(): void {
    this.#call = null;
    this.#ticker.stop();
    this.#signal?.removeEventListener('abort', this.#aborted);
    this.#ended();
  }

  #ask(question: Question, waitMs: number): void {
    const usual = questionSettings(this.#asker.settings);
    switch (question) {
      case 'offers':
        this.#send(MMI_BROKER, [''], usual);
        return;
      case 'reply':
        this.#send(TITANIC_REPLY, [this.uuid ?? ''], usual);
        return;
      case 'call':
        this.#send(
          TITANIC_CALL,
          this.#body.frames,
          // Until it is stored it is sent again soon: a broker that stops serving leaves it unanswered.
          waitSettings(this.#asker.settings, 0),
          this.#reader,
        );
        return;
      case 'wait': {
        const patient = waitSettings(this.#asker.settings, waitMs);
        this.#send(TITANIC_WAIT, [this.uuid ?? '', String(waitMs)], patient);
      }
    }
  }

  /** Reads the answers to `titanic.call`: the receipt is a part. */
  get #reader(): CallOwner {
    return {
      part: (_call, { frames }) => {
        const { status, frames: told } = readAnswer(frames);
        const uuid = told[0]?.toString('latin1', 0, UUID_BYTES_READ);
        if (status !== 200 || !isUuid(uuid)) return;
        if (this.uuid === null) this.#body.onStored(uuid, told[1]);
        this.#wait.stored(uuid, monotonicMs());
        this.#ticker.want(this.#wait.nextMs());
      },
      done: (call, reply) => call.resolve(reply),
      fail: (call, error) => call.reject(error),
    };
  }

  #send(
    service: string,
    body: readonly (string | Uint8Array)[],
    settings: RequestSettings,
    owner?: CallOwner,
  ): void {
    const answered = ({ frames }: Message): void => {
      this.#call = null;
      if (service === MMI_BROKER) {
        this.#asker.broker.learn(frames);
      }
      this.#wait.answered(frames, monotonicMs());
      this.#ticker.want(this.#wait.nextMs());
    };
    const failed = (error: MajordomoError): void => {
      this.#call = null;
      this.#wait.failed(error, monotonicMs());
      this.#ticker.want(this.#wait.nextMs());
    };
    this.#call = this.#asker.ask(service, body, settings, answered, failed, owner);
  }

  #giveUp(): void {
    const call = this.#call;
    if (call === null) return;
    this.#call = null;
    this.#wait.failed(this.#asker.giveUp(call), monotonicMs());
  }
}
