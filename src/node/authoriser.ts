/**
 * Keys that are in no keys file but that a service of the broker authorises (`security.authorize`):
 * which questions are open, and the service's answers for as long as they are valid.
 *
 * A connection does not wait for the answer. It is closed without an ERROR; its client tries again
 * and finds the answer here.
 */
import type { AuthoriserEvent } from '../admin/log/process-events.js';
import type { KeyAnswer } from '../config/authoriser-answer.js';
import { OldestFirst } from '../core/oldest-first.js';
import { keyShown } from '../zmtp/identity.js';
import type { Verdict } from '../zmtp/curve/server.js';
import { NOTHING, type Rights, updateRights } from './key-rights.js';

/** Open questions in total, and for keys from one address, so that others can be asked about. */
export const ASKED_MAX = 256;
const ASKED_PER_ADDRESS_MAX = 32;
/** A question without an answer is given up after this time. */
const ANSWER_MS = 5000;
/** The key is then not asked about for this time. */
const SILENT_MS = 1000;
/** An expired answer stays valid for at most this long if too many must be asked for again. */
const RENEWAL_MS_MAX = 30_000;
/** Number of keys to remember, allowed and refused. */
const KEYS_MAX = 10_000;

/** What an authoriser needs from the node. */
export interface AuthoriserHost {
  /** The service that authorises. */
  readonly service: string;
  /** Whether clients are served here: a node that serves none asks no questions. */
  readonly isServing: boolean;
  /** Sends a question. Its outcome is passed to `Authoriser.answered`. */
  ask(publicKey: Buffer, address: string): void;
  /** A keys file has an entry with that name: nobody else may own what belongs to it. */
  isTaken(name: string): boolean;
  /** Somebody is connected with a key of that name. */
  isConnected(name: string): boolean;
  /** The rights of the name have changed. */
  changed(name: string): void;
  /** A key, in hexadecimal, is no longer allowed. */
  revoked(publicKey: string): void;
  report(event: AuthoriserEvent): void;
}

interface Asked {
  readonly publicKey: Buffer;
  readonly address: string;
  readonly until: number;
}

interface Allowed {
  readonly publicKey: Buffer;
  readonly address: string;
  readonly name: string;
  until: number;
}

/** A key that is refused until then. */
interface CachedVerdict {
  readonly isRefused: boolean;
  readonly until: number;
}

interface Named {
  readonly rights: Rights;
  keys: number;
}

export class Authoriser {
  readonly #host: AuthoriserHost;
  /** Open questions by the public key, in hexadecimal. */
  readonly #asked = new Map<string, Asked>();
  readonly #allowed = new Map<string, Allowed>();
  readonly #cached = new OldestFirst<string, CachedVerdict>();
  readonly #named = new Map<string, Named>();

  constructor(host: AuthoriserHost) {
    this.#host = host;
  }

  /** Whether to allow a key that is in no keys file. @param now monotonic milliseconds */
  verdict(publicKey: Buffer, address: string, now: number): Verdict {
    const id = publicKey.toString('hex');
    const allowed = this.#allowed.get(id);
    if (allowed !== undefined && (allowed.until > now || this.#asked.has(id))) {
      return { kind: 'allowed', name: allowed.name };
    }
    const cached = this.#cached.get(id);
    if (cached !== undefined && cached.until > now) {
      return cached.isRefused
        ? { kind: 'refused' }
        : unavailable('the service that decides about its key does not answer');
    }
    if (!this.#asked.has(id)) {
      const why = this.#ask(id, { publicKey: Buffer.from(publicKey), address }, now);
      if (why !== null) return unavailable(why);
    }
    return unavailable('waiting for a decision about its key');
  }

  rightsOf(name: string): Readonly<Rights> {
    return this.#named.get(name)?.rights ?? NOTHING;
  }

  /** Handles the outcome of a question; ignored if the question was given up. */
  answered(publicKey: Buffer, answer: KeyAnswer, now: number): void {
    const id = publicKey.toString('hex');
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    const why = this.#refusal(id, answer);
    if (answer.kind === 'allowed' && why === null) {
      this.#allow(id, asked, answer, now);
      return;
    }
    this.#drop(id);
    const key = keyShown(publicKey);
    const { service } = this.#host;
    if (answer.kind === 'refused') {
      this.#cache(id, { isRefused: true, until: now + answer.ttlMs });
      this.#host.report({ name: 'authoriser.refused', service, key, ttlMs: answer.ttlMs });
    } else {
      this.#cache(id, { isRefused: false, until: now + SILENT_MS });
      this.#host.report({ name: 'authoriser.unanswered', service, key, reason: why ?? '' });
    }
  }

  /** Called periodically: handles what is overdue. */
  run(now: number): void {
    for (const { publicKey, until } of [...this.#asked.values()]) {
      if (until > now) continue;
      this.answered(publicKey, { kind: 'unusable', why: 'no answer in time' }, now);
    }
    for (const [id, { publicKey, address, name, until }] of this.#allowed) {
      if (until > now || this.#asked.has(id)) continue;
      if (!this.#host.isConnected(name)) {
        this.#forget(id);
        continue;
      }
      // A connected key stays while it is asked about again; if too many are open, a little later.
      const isAsked = this.#ask(id, { publicKey, address }, now) === null;
      const mayWait = this.#host.isServing && now < until + RENEWAL_MS_MAX;
      if (!isAsked && !mayWait) this.#drop(id);
    }
    for (const { key, value } of this.#cached) if (value.until <= now) this.#cached.delete(key);
  }

  /** @returns why no question is asked, or `null` */
  #ask(id: string, of: Omit<Asked, 'until'>, now: number): string | null {
    if (!this.#host.isServing) return 'this node is not active, so it cannot ask about keys';
    const fromThere = [...this.#asked.values()].filter(({ address }) => address === of.address);
    if (this.#asked.size >= ASKED_MAX || fromThere.length >= ASKED_PER_ADDRESS_MAX) {
      return 'too many keys are waiting for a decision';
    }
    this.#asked.set(id, { ...of, until: now + ANSWER_MS });
    this.#host.ask(of.publicKey, of.address);
    return null;
  }

  /** @returns why this answer does not let the key in, or `null` */
  #refusal(id: string, answer: KeyAnswer): string | null {
    if (answer.kind === 'unusable') return answer.why;
    if (answer.kind === 'refused') return null;
    if (this.#host.isTaken(answer.name)) return `the name ${answer.name} is in a keys file`;
    const isFull = this.#allowed.size >= KEYS_MAX && !this.#allowed.has(id);
    return isFull ? `the limit of ${KEYS_MAX} allowed keys is reached` : null;
  }

  #allow(
    id: string,
    { publicKey, address }: Asked,
    answer: Extract<KeyAnswer, { readonly kind: 'allowed' }>,
    now: number,
  ): void {
    const { name, client, worker, quota, ttlMs } = answer;
    if (this.#allowed.get(id)?.name !== name) this.#drop(id);
    const isNew = !this.#allowed.has(id);
    const named = this.#named.get(name) ?? { rights: { ...NOTHING }, keys: 0 };
    if (isNew) named.keys++;
    this.#named.set(name, named);
    this.#allowed.set(id, { publicKey, address, name, until: now + ttlMs });
    this.#cached.delete(id);
    const rights = { client, worker, quota, operator: false, peer: false };
    const isChanged = updateRights(named.rights, rights);
    if (isChanged) this.#host.changed(name);
    if (!isNew && !isChanged) return;
    const key = keyShown(publicKey);
    this.#host.report({
      name: 'authoriser.allowed',
      service: this.#host.service,
      key,
      keyName: name,
      client,
      worker,
      quota,
      ttlMs,
    });
  }

  #cache(id: string, cached: CachedVerdict): void {
    if (this.#cached.size >= KEYS_MAX) this.#cached.shift();
    this.#cached.set(id, cached);
  }

  /** Refuses the key from now on, and ends its connections. */
  #drop(id: string): void {
    const name = this.#allowed.get(id)?.name;
    if (name === undefined) return;
    this.#forget(id);
    if (!this.#named.has(name)) this.#host.changed(name);
    this.#host.revoked(id);
  }

  /** Refuses the key from now on. */
  #forget(id: string): void {
    const name = this.#allowed.get(id)?.name;
    const named = name === undefined ? undefined : this.#named.get(name);
    this.#allowed.delete(id);
    if (name === undefined || named === undefined || --named.keys > 0) return;
    this.#named.delete(name);
    Object.assign(named.rights, NOTHING);
  }
}

function unavailable(why: string): Verdict {
  return { kind: 'unavailable', why };
}
