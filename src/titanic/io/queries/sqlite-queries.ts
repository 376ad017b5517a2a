/**
 * The reading port for an SQLite file: the main thread's side. The thread starts with the first
 * question.
 */
import { Worker } from 'node:worker_threads';

import { messageOf } from '../../../core/errors.js';
import { type Bodies, type ShownBody, shownBody } from '../../operator/bodies.js';
import { unpackFailure } from '../../store/failure-codec.js';
import type {
  PageQuestion,
  ReadPage,
  Reading,
  RequestHistory,
  HistoryAttempt,
  ListedRequest,
} from '../../operator/queries.js';
import {
  type Owner,
  type RequestUuid,
  STATES,
  type StoredState,
  type StoreFailure,
} from '../../store/store.js';
import type {
  AttemptRow,
  BodyRows,
  ReadAnswer,
  ReadOrder,
  HistoryRows,
  ListedRow,
  WirePage,
  WireQuestion,
} from './query-messages.js';
import { DEAD, PENDING, REPLIED } from '../file/schema.js';

/** Maximum number of questions that wait for an answer; more are refused. */
const QUESTIONS_MAX = 64;

const TOO_MANY: StoreFailure = {
  kind: 'busy',
  message: 'too many readers of stored requests at the same time: try again',
};

const STATE_NUMBERS: Readonly<Record<StoredState, number>> = {
  pending: PENDING,
  replied: REPLIED,
  dead: DEAD,
};

type Question = Exclude<ReadOrder, { kind: 'close' }>;
/** The questions, without their numbers. */
type Unnumbered<Each> = Each extends Each ? Omit<Each, 'id'> : never;

export interface SqliteReading extends Reading {
  /** Must be closed before the store, which empties its log when it is the last to close it. */
  close(): Promise<void>;
}

export function openSqliteReading(path: string): SqliteReading {
  return new ReadingInThread(path);
}

class ReadingInThread implements SqliteReading {
  readonly #path: string;
  #thread: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #last = 0;
  readonly #asked = new Map<number, (answer: ReadAnswer) => void>();

  constructor(path: string) {
    this.#path = path;
  }

  page(question: PageQuestion, answer: (page: ReadPage | StoreFailure) => void): void {
    const order = { kind: 'page', question: wireQuestion(question) } as const;
    this.#ask(order, answer, (value) => {
      const { rows, next } = value as WirePage;
      const uuid = next === null ? null : Buffer.from(next, 'hex');
      return { requests: rows.map(requestOf), next: uuid };
    });
  }

  history(
    uuid: RequestUuid,
    answer: (history: RequestHistory | null | StoreFailure) => void,
  ): void {
    this.#ask({ kind: 'history', uuid: hex(uuid) }, answer, (value) => {
      if (value === null) return null;
      const { row, attempts, ...rest } = value as HistoryRows;
      return { request: requestOf(row), attempts: attempts.map(attemptOf), ...rest };
    });
  }

  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void {
    this.#ask({ kind: 'bodies', uuid: hex(uuid) }, answer, (value) => {
      if (value === null) return null;
      const { body, bodyBytes, reply, replyBytes } = value as BodyRows;
      return { body: bodyOf(body, bodyBytes), reply: bodyOf(reply, replyBytes) };
    });
  }

  async close(): Promise<void> {
    const close: ReadOrder = { id: 0, kind: 'close' };
    this.#thread?.postMessage(close);
    await this.#ended;
  }

  #ask<Value>(
    question: Unnumbered<Question>,
    answer: (value: Value | StoreFailure) => void,
    read: (value: unknown) => Value,
  ): void {
    if (this.#asked.size >= QUESTIONS_MAX) {
      queueMicrotask(() => {
        answer(TOO_MANY);
      });
      return;
    }
    const id = ++this.#last;
    this.#asked.set(id, ({ failure, value }) => {
      answer(failure ?? read(value));
    });
    this.#thread ??= this.#start();
    this.#thread.postMessage({ id, ...question });
  }

  #start(): Worker {
    const thread = new Worker(new URL('./query-thread.js', import.meta.url), {
      workerData: this.#path,
      name: 'reading',
    });
    thread.on('message', (answer: ReadAnswer) => {
      const tell = this.#asked.get(answer.id);
      this.#asked.delete(answer.id);
      tell?.(answer);
    });
    let why = 'the reading thread ended';
    thread.on('error', (error) => {
      why = messageOf(error);
    });
    this.#ended = new Promise((resolve) => {
      thread.on('exit', () => {
        // The next question starts another one.
        this.#thread = null;
        this.#failAll({ kind: 'busy', message: `store ${this.#path}: ${why}; try again` });
        resolve();
      });
    });
    return thread;
  }

  #failAll(failure: StoreFailure): void {
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const [id, tell] of asked) tell({ id, failure, value: null });
  }
}

function wireQuestion(question: PageQuestion): WireQuestion {
  const { service, state, after, only, except } = question;
  return {
    ...question,
    service: service === null ? null : hex(service),
    state: state === null ? null : STATE_NUMBERS[state],
    after: after === null ? null : hex(after),
    only: only === null ? null : hex(only),
    except: except === null ? null : hex(except),
  };
}

function requestOf([uuid, service, owner, ...rest]: ListedRow): ListedRequest {
  const facts = rest.slice(0, -1) as number[];
  const reason = rest.at(-1) as string | null;
  const [number = 0, state = 0, priority = 0, acceptedAt = 0, notBefore = 0] = facts;
  const [expiresAt = 0, maxAttempts = 0, attempts = 0, generation = 0] = facts.slice(5);
  const [bodyBytes = 0, shared = 0] = facts.slice(9);
  return {
    uuid: Buffer.from(uuid, 'hex'),
    service: Buffer.from(service, 'hex'),
    number,
    state: STATES[state] ?? 'pending',
    priority,
    acceptedAt,
    notBefore,
    expiresAt,
    maxAttempts,
    attempts,
    generation,
    bodyBytes,
    owner: owner as Owner,
    isShared: shared === 1,
    reason,
  };
}

function attemptOf({ failure, ...attempt }: AttemptRow): HistoryAttempt {
  return { ...attempt, failure: unpackFailure(Buffer.from(failure, 'hex')) };
}

function bodyOf(digits: string, bytes: number | null): ShownBody | null {
  return bytes === null ? null : shownBody(Buffer.from(digits, 'hex'), bytes);
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
