/** What a store has, in memory: the ladder of the store port (D16, D17), in the plainest words. */
import { present } from '../../src/core/assert.js';
import { isOnceKey } from '../../src/wire/tsp.js';
import {
  type Attempt,
  ATTEMPTS_KEPT,
  type Change,
  type ChangeResult,
  type Found,
  type RequestUuid,
  type StoreCounts,
  type StoredRequest,
} from '../../src/titanic/store.js';

interface Entry {
  readonly request: StoredRequest;
  readonly key: Buffer | null;
  readonly body: Buffer;
  readonly attemptsEver: number;
  readonly attempts: readonly (Attempt & { readonly ordinal: number })[];
  readonly reply: { readonly reply: Buffer; readonly worker: string; readonly at: number } | null;
  readonly death: { readonly reason: string; readonly at: number } | null;
}

interface Key {
  readonly service: Buffer;
  readonly key: Buffer;
  readonly uuid: Buffer;
  /** `null` while its request is there. */
  readonly until: number | null;
}

/** Everything that a store has, in an order of its own: two stores of equal content are equal here. */
export interface StoreContent {
  readonly nextNumber: number;
  readonly requests: readonly Entry[];
  readonly keys: readonly Key[];
}

/** What one request takes beside its bytes; only in order of magnitude. */
const ENTRY_BYTES = 200;

export class MemoryTables {
  #entries = new Map<string, Entry>();
  #keys = new Map<string, Key>();
  #nextNumber = 1;

  get nextNumber(): number {
    return this.#nextNumber;
  }

  get counts(): StoreCounts {
    const counts = { pending: 0, replied: 0, dead: 0, bytes: 0 };
    for (const { request, body, reply } of this.#entries.values()) {
      counts[request.state]++;
      counts.bytes += ENTRY_BYTES + body.length + (reply?.reply.length ?? 0);
    }
    return counts;
  }

  content(): StoreContent {
    return {
      nextNumber: this.#nextNumber,
      requests: [...this.#entries.values()].sort((a, b) => a.request.number - b.request.number),
      keys: [...this.#keys.values()].sort(
        (a, b) => a.service.compare(b.service) || a.key.compare(b.key),
      ),
    };
  }

  pending(): StoredRequest[] {
    return [...this.#entries.values()]
      .map(({ request }) => request)
      .filter(({ state }) => state === 'pending')
      .sort((a, b) => a.number - b.number);
  }

  body(uuid: RequestUuid): Buffer | null {
    const entry = this.#entries.get(nameOf(uuid));
    return entry?.request.state === 'pending' ? entry.body : null;
  }

  lookUp(uuid: RequestUuid): Found {
    const entry = this.#entries.get(nameOf(uuid));
    if (entry === undefined) return { state: 'absent' };
    if (entry.reply !== null) return { state: 'replied', reply: entry.reply.reply };
    if (entry.death !== null) return { state: 'dead', reason: entry.death.reason };
    return { state: 'pending' };
  }

  apply(change: Change): ChangeResult {
    if (change.kind === 'accept') {
      return this.#accept(change.request, change.body, change.key);
    }
    if (change.kind === 'sweep') return this.#sweep(change.now, change.keyUntil, change.most);
    const entry = this.#entries.get(nameOf(change.uuid));
    if (entry === undefined) return { kind: 'passed' };
    switch (change.kind) {
      case 'close':
      case 'expire':
        this.#remove(entry, change.keyUntil);
        return { kind: 'done' };
      case 'retry': {
        const after = retried(entry, change);
        if (after === null) return { kind: 'passed' };
        this.#put(after);
        return { kind: 'retried', request: after.request };
      }
      default: {
        const after = stepped(entry, change);
        if (after === null) return { kind: 'passed' };
        this.#put(after);
        return { kind: 'done' };
      }
    }
  }

  #accept(request: StoredRequest, body: Buffer, key: Buffer | null): ChangeResult {
    this.#nextNumber = Math.max(this.#nextNumber, request.number + 1);
    const entry = this.#entries.get(nameOf(request.uuid));
    if (entry !== undefined) {
      if (request.generation <= entry.request.generation) return { kind: 'passed' };
      const { generation, attempts, notBefore, expiresAt } = request;
      const now = { generation, attempts, notBefore, expiresAt, state: 'pending' as const };
      this.#put({ ...entry, request: { ...entry.request, ...now }, reply: null, death: null });
      return { kind: 'done' };
    }
    if (key !== null) {
      const known = this.#keys.get(keyName(request.service, key));
      if (known !== undefined && (known.until === null || known.until > request.acceptedAt)) {
        return { kind: 'known', uuid: known.uuid };
      }
      const { service, uuid } = request;
      this.#keys.set(keyName(service, key), { service, key, uuid, until: null });
    }
    const history = { attemptsEver: 0, attempts: [], reply: null, death: null };
    this.#put({ request: { ...request, state: 'pending' }, body, key, ...history });
    return { kind: 'done' };
  }

  #sweep(now: number, keyUntil: number, most: number): ChangeResult {
    const over = [...this.#entries.values()]
      .filter(({ request }) => request.state !== 'pending' && request.expiresAt <= now)
      .sort(
        (a, b) => a.request.expiresAt - b.request.expiresAt || a.request.number - b.request.number,
      );
    const swept = over.slice(0, most);
    for (const entry of swept) this.#remove(entry, keyUntil);
    const forgettable = [...this.#keys.values()]
      .filter(({ until }) => until !== null && until <= now)
      .sort(
        (a, b) =>
          (a.until ?? 0) - (b.until ?? 0) || a.service.compare(b.service) || a.key.compare(b.key),
      );
    for (const { service, key } of forgettable.slice(0, most)) {
      this.#keys.delete(keyName(service, key));
    }
    const replied = swept.filter(({ reply }) => reply !== null).length;
    const more = over.length > most || forgettable.length > most;
    return { kind: 'swept', replied, dead: swept.length - replied, more };
  }

  #put(entry: Entry): void {
    this.#entries.set(nameOf(entry.request.uuid), entry);
  }

  #remove({ request, key }: Entry, until: number): void {
    this.#entries.delete(nameOf(request.uuid));
    if (key === null) return;
    const name = keyName(request.service, key);
    const known = present(this.#keys.get(name), 'a request in the store has its key');
    if (!known.uuid.equals(request.uuid)) return;
    if (isOnceKey(key)) this.#keys.delete(name);
    else this.#keys.set(name, { ...known, until });
  }
}

type Step = Extract<Change, { readonly kind: 'attempt' | 'reply' | 'dead' }>;

/** The entry after a step up, or `null` if it is none (D17). */
function stepped(entry: Entry, step: Step): Entry | null {
  const { request } = entry;
  if (step.generation < request.generation) return null;
  const isLater = step.generation > request.generation;
  const { generation } = step;
  switch (step.kind) {
    case 'attempt': {
      const counts = request.state === 'pending' && step.attempts > request.attempts;
      if (!isLater && !counts) return null;
      const ordinal = entry.attemptsEver + 1;
      const { attempts, notBefore } = step;
      return {
        ...entry,
        request: { ...request, state: 'pending', generation, attempts, notBefore },
        attemptsEver: ordinal,
        attempts: [...entry.attempts, { ...step.attempt, ordinal }].slice(-ATTEMPTS_KEPT),
        reply: null,
        death: null,
      };
    }
    case 'reply': {
      if (!isLater && request.state === 'replied') return null;
      const { expiresAt, reply, worker, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'replied', generation, expiresAt },
        reply: { reply, worker, at },
        death: null,
      };
    }
    case 'dead': {
      if (!isLater && request.state !== 'pending') return null;
      const { expiresAt, reason, at } = step;
      return {
        ...entry,
        request: { ...request, state: 'dead', generation, expiresAt },
        reply: null,
        death: { reason, at },
      };
    }
  }
}

function retried(
  entry: Entry,
  { generation, at, expiresAt }: Extract<Change, { readonly kind: 'retry' }>,
): Entry | null {
  const { request } = entry;
  if (generation <= request.generation) return null;
  const now = { state: 'pending' as const, generation, attempts: 0, notBefore: at, expiresAt };
  return { ...entry, request: { ...request, ...now }, reply: null, death: null };
}

function nameOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

function keyName(service: Buffer, key: Buffer): string {
  return `${service.toString('hex')}:${key.toString('hex')}`;
}
