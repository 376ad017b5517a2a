/** The query port on a stage's disk, as simple as possible; it answers when the stage lets it. */
import { groupOf } from '../../src/store/own-fields.js';
import { isWork, type RecordKind } from '../../src/store/record-kind.js';
import { type Bodies, shownBody } from '../../src/store/bodies.js';
import { unpackFailure } from '../../src/store/failure-codec.js';
import { keptIn, readHeadersIn } from '../../src/store/fields.js';
import { GroupCounts } from '../../src/store/group-counts.js';
import {
  type GroupPage,
  type GroupQuery,
  type OwnedKey,
  type PageQuery,
  type RequestPage,
  type Selection,
  type StoreQueries,
  REASON_CHARACTERS_MAX,
  type RequestHistory,
  type ListedRequest,
} from '../../src/store/queries.js';
import type { RequestUuid, StoreFailure } from '../../src/store/store.js';
import {
  boundsOf,
  digitsOf,
  matches,
  type ScannedRow,
  type StoredFilter,
} from '../../src/store/stored-filter.js';
import type { Entry } from '../../src/testing/memory-rows.js';
import type { RequestFilter, RequestSelection } from '../../src/titanic/operator/operator-api.js';
import type { StageDisk } from './stage-store.js';

const UUID_BYTES = 16;

const ANY: RequestFilter = {
  ...{
    service: null,
    serviceMatch: 'exact',
    kind: null,
    group: null,
    uuid: null,
    reason: null,
    pattern: null,
    code: null,
  },
  ...{ header: null, acceptedAfter: null, acceptedBefore: null, diedAfter: null, diedBefore: null },
  phase: null,
  uuidEnd: null,
};

/** Which requests, as tests write it: what is not given is any. */
export function selectionOf({
  state = null,
  after = null,
  ...filter
}: Partial<RequestFilter & Omit<RequestSelection, 'filter'>> = {}): RequestSelection {
  return { filter: { ...ANY, ...filter }, state, after };
}

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

  groups(query: GroupQuery, answer: (page: GroupPage | StoreFailure) => void): void {
    this.#ask(answer, () => this.#groups(query));
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

  hasKeys(
    keys: readonly OwnedKey[],
    answer: (known: readonly boolean[] | StoreFailure) => void,
  ): void {
    this.#ask(answer, () =>
      keys.map(({ service, key, owner }) =>
        this.#disk.rows.some(
          ({ request, key: known }) =>
            known?.equals(key) === true &&
            request.service.equals(service) &&
            request.owner === owner,
        ),
      ),
    );
  }

  #ask<Value>(answer: (value: Value | StoreFailure) => void, read: () => Value): void {
    this.asked.push(() => answer(this.failure ?? read()));
  }

  #page({ limit, ...selection }: PageQuery): RequestPage {
    const found = this.#found(selection);
    const requests = found.slice(0, Math.min(limit, this.pageMax)).map(({ row }) => listed(row));
    const next = requests.length < found.length ? (requests.at(-1)?.uuid ?? null) : null;
    return { requests, next, scanned: this.#disk.rows.length };
  }

  #groups({ by, limit, ...selection }: GroupQuery): GroupPage {
    const counts = new GroupCounts(by, limit);
    const found = this.#found(selection).slice(0, this.pageMax);
    const counted = found.filter(({ scanned }) => counts.add(scanned));
    const last = counted.at(-1)?.row.request.uuid ?? null;
    const isWhole = counted.length === this.#found(selection).length;
    return { groups: counts.all(), next: isWhole ? null : last, scanned: this.#disk.rows.length };
  }

  /** Newest first. */
  #found({
    filter,
    states,
    after,
    only,
    except,
  }: Selection): { row: Entry; scanned: ScannedRow }[] {
    const { from, to } = boundsOf(filter, after);
    return this.#disk.rows
      .map((row) => ({ row, scanned: scannedOf(row) }))
      .filter(({ row }) => states.includes(row.request.state))
      .filter(({ row }) => isOfKind(filter, row.request.kind))
      .filter(({ row }) => isService(filter, row.request.service))
      .filter(({ row }) => filter.group === null || groupOf(row.request).equals(filter.group))
      .filter(({ scanned: { uuid } }) => uuid < from && uuid >= to)
      .filter(({ row }) => only === null || isAmong(row.request.uuid, only))
      .filter(({ row }) => except === null || !isAmong(row.request.uuid, except))
      .filter(({ scanned }) => matches(filter.more, scanned))
      .sort((a, b) => b.row.request.uuid.compare(a.row.request.uuid));
  }

  #history(uuid: RequestUuid): RequestHistory | null {
    const row = this.#disk.row(uuid);
    if (row === undefined) return null;
    const { key, attempts, attemptsEver, reply, death, extra } = row;
    return {
      request: listed(row),
      hasKey: key !== null,
      ...keptIn(extra),
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

function listed(row: Entry): ListedRequest {
  const reason = reasonOf(row)?.slice(0, REASON_CHARACTERS_MAX) ?? null;
  const reasonAt = row.death?.at ?? row.attempts.at(-1)?.endedAt ?? null;
  return { ...row.request, reason, reasonAt: reason === null ? null : reasonAt };
}

function reasonOf({ attempts, reply, death }: Entry): string | null {
  return reply === null ? (death?.reason ?? attempts.at(-1)?.reason ?? null) : null;
}

function scannedOf(row: Entry): ScannedRow {
  const { request, death, extra } = row;
  const { notBefore, attempts } = request;
  const [uuid, service] = [digitsOf(request.uuid), digitsOf(request.service)];
  const diedAt = death?.at ?? null;
  return { uuid, service, reason: reasonOf(row), extra, diedAt, notBefore, attempts };
}

function isOfKind({ kind }: StoredFilter, found: RecordKind): boolean {
  if (kind === 'listed') return found !== 'schedule' && found !== 'pause';
  return kind === 'work' ? isWork(found) : kind === found;
}

function isService({ service, serviceMatch }: StoredFilter, name: Buffer): boolean {
  if (service !== null && serviceMatch === 'exact') return name.equals(service);
  const at = service === null ? 0 : name.indexOf(service);
  return serviceMatch === 'prefix' ? at === 0 : at >= 0;
}

function isAmong(uuid: RequestUuid, packed: Buffer): boolean {
  for (let at = 0; at < packed.length; at += UUID_BYTES) {
    if (uuid.equals(packed.subarray(at, at + UUID_BYTES))) return true;
  }
  return false;
}
