/**
 * A ZeroMQ REP socket, or a ROUTER that answers REQ, as a server (28/REQREP). Each lane is the equivalent of a REQ
 * socket: a DEALER that sends the empty frame itself and one request at a time. After every failure it is a new
 * connection, so that a late answer meets nothing.
 */
import type { Frames } from '../../../core/frames.js';
import { LINK_LIMITS } from '../../../sdk/dials.js';
import { writeMessage } from '../../../sdk/links.js';
import { ServiceError } from '../../../sdk/service-error.js';
import type { Dial, Link } from '../../../zmtp/link-port.js';
import {
  type Asked,
  lost,
  type Outcome,
  type Server,
  silent,
  type TimeoutMs,
  tooLarge,
} from './server.js';

/** A server that answers no PING is given up after five to six seconds. */
const PATIENCE = {
  reconnectMsMin: 50,
  reconnectMsMax: 1000,
  pingAfterMs: 2000,
  pingCheckMs: 1000,
  unansweredMax: 3,
} as const;
/**
 * How long a lane without a time-out waits for an answer from when nobody wants it any more. REP cannot be told, and
 * is busy with it: another request would wait there, and a ROUTER may have lost this one.
 */
const UNWANTED_MS = 60_000;
/** How much of a message that nobody asked for is read. */
const UNASKED_BYTES_MAX = 1024 * 1024;
const EMPTY = Buffer.alloc(0);
const GONE = 'the connection is lost, or it answers no heartbeat';
const CLOSED = 'the worker closes';

/** @param lost called when a connection that was up has ended by itself */
export async function repServer(
  endpoint: string,
  lanes: number,
  timeoutMs: TimeoutMs,
  lost: (why: string) => void,
): Promise<RepServer> {
  const { dialZmtp } = await import('../../../zmtp/link.js');
  const dial = dialZmtp({ limits: LINK_LIMITS, patience: PATIENCE });
  return new RepServer(dial, endpoint, lanes, timeoutMs, lost);
}

export class RepServer implements Server {
  readonly #lanes: readonly Lane[];
  readonly #timeoutMs: TimeoutMs;
  #away: ((why: string) => void) | null = null;
  #isReady: (() => void) | null = null;

  constructor(
    dial: Dial,
    endpoint: string,
    lanes: number,
    timeoutMs: TimeoutMs,
    lost: (why: string) => void,
  ) {
    this.#timeoutMs = timeoutMs;
    const events = {
      up: () => this.#look(),
      down: () => lost(GONE),
      away: (why: string) => this.#away?.(why),
    };
    this.#lanes = Array.from({ length: lanes }, () => new Lane(dial, endpoint, events));
  }

  ready(signal: AbortSignal, away: (why: string) => void): Promise<void> {
    return new Promise((resolve) => {
      const ready = (): void => {
        signal.removeEventListener('abort', ready);
        this.#away = null;
        this.#isReady = null;
        resolve();
      };
      this.#away = away;
      this.#isReady = ready;
      signal.addEventListener('abort', ready, { once: true });
      this.#look();
    });
  }

  #look(): void {
    if (this.#lanes.every(({ isUp }) => isUp)) this.#isReady?.();
  }

  ask(asked: Asked): Promise<Outcome> {
    const lane = this.#lanes.find(({ isFree }) => isFree);
    if (lane === undefined) return Promise.resolve(lost('there is no connection', false));
    return lane.ask(asked, this.#timeoutMs);
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }
}

interface LaneEvents {
  up(): void;
  down(): void;
  away(why: string): void;
}

class Lane {
  readonly #dial: Dial;
  readonly #endpoint: string;
  readonly #events: LaneEvents;
  #link: Link;
  /** Ends the request that is out; `null`: there is none. */
  #settle: ((outcome: Outcome) => void) | null = null;
  /** The most of an answer that is kept, in bytes. */
  #bytesMax = UNASKED_BYTES_MAX;
  isUp = false;

  constructor(dial: Dial, endpoint: string, events: LaneEvents) {
    this.#dial = dial;
    this.#endpoint = endpoint;
    this.#events = events;
    this.#link = this.#open();
  }

  get isFree(): boolean {
    return this.isUp && this.#settle === null;
  }

  #open(): Link {
    this.isUp = false;
    const isMine = (): boolean => link === this.#link;
    const link = this.#dial(this.#endpoint, {
      connected: () => {
        if (!isMine()) return;
        this.isUp = true;
        this.#events.up();
      },
      disconnected: () => {
        if (!isMine()) return;
        this.isUp = false;
        this.#events.down();
        this.#settle?.(lost(GONE, true));
      },
      unreachable: (_isKeyRefused, why) => {
        if (isMine()) this.#events.away(why);
      },
      receiving: (bytes) => {
        // With what the memory of its frames, and room for more, takes.
        if (!isMine() || bytes <= 2 * this.#bytesMax + UNASKED_BYTES_MAX) return;
        this.#renew();
        this.#settle?.(tooLarge(bytes, this.#bytesMax));
      },
      message: (frames) => {
        if (isMine()) this.#settle?.(this.#read(frames));
      },
    });
    return link;
  }

  #read(frames: Frames): Outcome {
    if (frames.count > 1 && frames.size(0) === 0) {
      return { kind: 'reply', frames: frames.copyFrom(1) };
    }
    this.#renew();
    const text = 'the answer does not begin with the empty frame that a REQ socket expects';
    return { kind: 'failed', error: new ServiceError('bad-answer', text), pauseMs: 0 };
  }

  /** REQ's lock-step begins anew. */
  #renew(): void {
    void this.#link.close(0);
    this.#link = this.#open();
  }

  ask({ frames, replyBytesMax, signal }: Asked, timeoutMs: TimeoutMs): Promise<Outcome> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const endAfter = (ms: number, outcome: Outcome): void => {
        timer = setTimeout(() => {
          this.#renew();
          settle(outcome);
        }, ms);
      };
      const settle = (outcome: Outcome): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', unwanted);
        this.#settle = null;
        this.#bytesMax = UNASKED_BYTES_MAX;
        resolve(outcome);
      };
      const unwanted = (): void => {
        this.#settle = () => settle({ kind: 'unwanted' });
        if (timeoutMs === null) endAfter(UNWANTED_MS, silent(UNWANTED_MS, true));
      };
      this.#settle = settle;
      this.#bytesMax = replyBytesMax;
      if (timeoutMs !== null) endAfter(timeoutMs, silent(timeoutMs, true));
      signal.addEventListener('abort', unwanted, { once: true });
      writeMessage(this.#link, [EMPTY, ...frames]);
    });
  }

  close(): void {
    this.isUp = false;
    void this.#link.close(0);
    this.#settle?.(lost(CLOSED, true));
  }
}
