/** The query port on a stage's disk, as simple as possible; it answers when the stage lets it. */
import { type Bodies, shownBody } from '../../src/store/bodies.js';
import { unpackFailure } from '../../src/store/failure-codec.js';
import { backoffIn, readHeadersIn } from '../../src/store/fields.js';
import {
  type PageQuery,
  type RequestPage,
  type StoreQueries,
  REASON_CHARACTERS_MAX,
  type RequestHistory,
  type ListedRequest,
} from '../../src/store/queries.js';
import type { RequestUuid, StoreFailure } from '../../src/store/store.js';
import type { Entry } from '../../src/testing/memory-rows.js';
import type { StageDisk } from './stage-store.js';

const UUID_BYTES = 16;

export class StageQueries implements StoreQueries {
  readonly #disk: StageDisk;
  /** Queries and their answers that wait, in order. */
  readonly asked: (() => void)[] = [];
  /** While set, every read fails. */
  failure: StoreFailure | null = null;
  /** Pages end after this many entries, whatever was requested. */
  pageMax = Infinity;

  constructor(disk: StageDisk) {
    this.#disk = disk;
  }

  page(query: PageQuery, answer: (page: RequestPage | StoreFailure) => void): void {
    this.#ask(answer, () => this.#page(query));
  }

  history(
    uuid: RequestUuid,
    answer: (history: RequestHistory | null | StoreFailure) => void,
  ): void {
    this.#ask(answer, () => this.#history(uuid));
  }

  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void {
    this.#ask(answer, () => this.#bodies(uuid));
  }

  #ask<Value>(answer: (value: Value | StoreFailure) => void, read: () => Value): void {
    this.asked.push(() => {
      answer(this.failure ?? read());
    });
  }

  #page({ service, state, acceptedBefore, after, limit, only, except }: PageQuery): RequestPage {
    const found = this.#disk.rows
      .map(listed)
      .filter((request) => state === null || request.state === state)
      .filter((request) => request.service.equals(service ?? request.service))
      .filter(({ service: of }) => service !== null || of.toString() !== 'titanic.schedule')
      .filter(({ acceptedAt }) => acceptedBefore === null || acceptedAt < acceptedBefore)
      .filter(({ uuid }) => after === null || uuid.compare(after) < 0)
      .filter(({ uuid }) => only === null || isAmong(uuid, only))
      .filter(({ uuid }) => except === null || !isAmong(uuid, except))
      .sort((a, b) => b.uuid.compare(a.uuid));
    const requests = found.slice(0, Math.min(limit, this.pageMax));
    const next = requests.length < found.length ? (requests.at(-1)?.uuid ?? null) : null;
    return { requests, next };
  }

  #history(uuid: RequestUuid): RequestHistory | null {
    const row = this.#disk.row(uuid);
    if (row === undefined) return null;
    const { key, attempts, attemptsEver, reply, death, extra } = row;
    return {
      request: listed(row),
      hasKey: key !== null,
      backoff: backoffIn(extra),
      attemptsEver,
      attempts: attempts.map(({ worker, startedAt, endedAt, reason, failure }) => ({
        ...{ worker, startedAt, endedAt, reason },
        failure: unpackFailure(failure),
      })),
      reply:
        reply === null ? null : { bytes: reply.reply.length, worker: reply.worker, at: reply.at },
      death,
    };
  }

  #bodies(uuid: RequestUuid): Bodies | null {
    const row = this.#disk.row(uuid);
    if (row === undefined) return null;
    const { body, reply, extra } = row;
    return {
      headers: readHeadersIn(extra),
      body: shownBody(body, body.length),
      reply: reply === null ? null : shownBody(reply.reply, reply.reply.length),
    };
  }
}

function listed({ request, attempts, reply, death }: Entry): ListedRequest {
  const reason = death?.reason ?? attempts.at(-1)?.reason ?? null;
  const shown = reply === null ? (reason?.slice(0, REASON_CHARACTERS_MAX) ?? null) : null;
  return { ...request, reason: shown };
}

function isAmong(uuid: RequestUuid, packed: Buffer): boolean {
  for (let at = 0; at < packed.length; at += UUID_BYTES) {
    if (uuid.equals(packed.subarray(at, at + UUID_BYTES))) return true;
  }
  return false;
}
