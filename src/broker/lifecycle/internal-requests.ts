/** The requests that services of this process answer, and what these services can call. */
import { assert, present } from '../../core/assert.js';
import { ownCopy } from '../../core/bytes.js';
import { escapeName } from '../../core/escape.js';
import { Frames } from '../../core/frames.js';
import type { Inbound } from '../../wire/inbound.js';
import { EMPTY } from '../../wire/mdp.js';
import { type ClientHello, MMI_HELLO, type ResumeState } from '../../wire/mmi.js';
import { MEMORY_FULL, NOT_ACTIVE, overQuota } from '../admission/refusal.js';
import type { BrokerHost, Greeted, Obstacle, RefusedFor } from '../ports.js';
import type { Peer, Session } from '../state/entities.js';
import { type HelloPlace, memoryOfHello } from '../state/hellos.js';
import { ENVELOPE_BYTES, INTERNAL, NONE, QUERY, type RequestId } from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { ClientScans } from './client-scans.js';
import type { Replies } from './replies.js';
import type { Resumptions } from './resumptions.js';

const NO_SESSION = { session: null, resumeMs: null, isKnown: false, reason: null };
const NO_RESUME = { ...NO_SESSION, resumeMs: 0, reason: 'this listener has no sessions' };
const HELLOS_USED_UP = overQuota('hellos');
/** Record numbers are below this. */
const GENERATION_STEP = 2 ** 31;
/**
 * Limit for all envelopes of a peer's hellos together: enough for ids as libzmq makes them, over any number of
 * hops.
 */
const HELLO_BYTES_PER_PEER_MAX = 65_536;
/** Limits for hellos that still count without a place. */
const FREED_MAX = 1000;
const FREED_BYTES_MAX = 1024 * 1024;
/** Maximum size of the envelope of a cancel, with which those of all requests that it names begin. */
const CANCEL_ENVELOPE_BYTES_MAX = 1024;

export class InternalRequests implements BrokerHost {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #clientScans: ClientScans;
  readonly #resumptions: Resumptions;
  /** Generation of the numbers by which internal services know requests: see `endAll`. */
  #generation = 0;
  /** Hellos that lost their places and still count. */
  readonly #freed: { readonly peer: Peer; readonly envelope: Buffer }[] = [];
  #freedBytes = 0;

  constructor(
    data: BrokerData,
    replies: Replies,
    clientScans: ClientScans,
    resumptions: Resumptions,
  ) {
    this.#data = data;
    this.#replies = replies;
    this.#clientScans = clientScans;
    this.#resumptions = resumptions;
  }

  /** @param isQuery it only asks @returns the number by which the service answers the request */
  accept(inbound: Inbound, peer: Peer, isQuery: boolean): number {
    const id = this.#data.requests.addInternal(inbound, peer, isQuery);
    return this.#generation * GENERATION_STEP + id;
  }

  /** The request with this number; NONE if it was ended by `endAll`. */
  #of(number: number): RequestId {
    const isPresent = Math.floor(number / GENERATION_STEP) === this.#generation;
    return isPresent ? number % GENERATION_STEP : NONE;
  }

  answer(number: number, body: readonly Buffer[]): void {
    const id = this.#of(number);
    if (id === NONE) return;
    this.#send(id, body, true);
    this.#data.requests.release(id, 'answered');
  }

  part(number: number, body: readonly Buffer[]): void {
    const id = this.#of(number);
    if (id === NONE) return;
    this.#send(id, body, false);
    this.#data.requests.onlyAsks(id);
  }

  #send(id: RequestId, body: readonly Buffer[], isFinal: boolean): void {
    const { table } = this.#data;
    const isHeld = table.has(id) && table.is(id, INTERNAL);
    assert(isHeld, 'an internal request is answered once');
    const frames = body.length === 0 ? Frames.of(EMPTY) : Frames.of(...body);
    frames.isLasting = true;
    this.#replies.replyInternal(id, frames, isFinal);
  }

  refuse(number: number, why: RefusedFor, text: string): void {
    const { requests } = this.#data;
    const id = this.#of(number);
    if (id === NONE) return;
    const quota = typeof why === 'object' ? why.quota : undefined;
    const reason = typeof why === 'object' ? 'quota' : why;
    const status = reason === 'rights' ? '403' : '429';
    const client = present(requests.clientOf(id), 'a request of a client');
    const shown = escapeName(requests.internalName(id));
    this.#replies.countRefused({ reason, status, text, quota }, shown, null, client);
    this.#replies.sendRefusal(id, status, text);
    requests.release(id, 'too_late');
  }

  recordHello(number: number, hello: ClientHello): Obstacle | Greeted {
    const { requests } = this.#data;
    const id = this.#of(number);
    const peer = id === NONE ? null : requests.clientOf(id)?.peer;
    if (!peer) return NO_SESSION;
    const { hellos, identity } = peer;
    const envelope = ownCopy(requests.envelope(id));
    const { dialect } = requests.returnPath(id);
    if (!hellos.has(envelope)) {
      const isOver = identity.hellos >= identity.quotas.hellos;
      const bytesLeft = HELLO_BYTES_PER_PEER_MAX - envelope.length;
      const giving = isOver ? this.#givesWay(peer) : null;
      if (bytesLeft < 0 || (isOver && giving === null)) {
        return { why: { quota: 'hellos' }, text: HELLOS_USED_UP.text };
      }
      if (!identity.memory.mayHold(memoryOfHello(envelope))) {
        return { why: 'limit', text: MEMORY_FULL.text };
      }
      if (giving !== null) this.#freeHello(giving);
      while (hellos.bytes > bytesLeft) this.#freeHello(peer);
      identity.hellos++;
      identity.proxies.add(peer.id);
    }
    const greeted = this.#sessionOf(peer, { envelope, dialect }, hello);
    const { refusesToWait, hearsFailures } = hello;
    const { session } = greeted;
    const known = { refusesToWait, hearsFailures, session };
    const before = hellos.set(envelope, dialect, known)?.session ?? null;
    // Who begins another session does not go on with the last.
    if (before !== null && before !== session && before.client.peer === peer) {
      this.#resumptions.end(before);
    }
    return greeted;
  }

  #sessionOf(
    peer: Peer,
    place: HelloPlace,
    { session: name }: ClientHello,
  ): Greeted & { readonly session: Session | null } {
    const { resumeMs } = this.#data.sessions;
    if (name === null) return NO_SESSION;
    if (resumeMs === 0 || peer.grants.rules.resumes !== true) return NO_RESUME;
    const opened = this.#resumptions.open(peer, place, name);
    if ('status' in opened) return { ...NO_RESUME, reason: opened.text };
    return { ...opened, resumeMs, reason: null };
  }

  resume(
    number: number,
    ids: readonly Buffer[],
    answer: (states: readonly ResumeState[]) => void,
  ): 'asked' | 'no_session' | 'no_memory' {
    const { requests } = this.#data;
    const id = this.#of(number);
    const session = id === NONE ? null : (requests.clientOf(id)?.session ?? null);
    if (!session?.envelope.equals(requests.envelope(id))) return 'no_session';
    const { client } = session;
    const { peer } = client;
    const isAsked = this.#resumptions.resume(session, ids, (states) => {
      // Over another connection it would be taken for the answer to what is asked there.
      if (client.peer === peer) answer(states);
      else if (this.#of(number) !== NONE) requests.release(id, 'too_late');
    });
    return isAsked ? 'asked' : 'no_memory';
  }

  /**
   * Whose oldest place is freed for a further one of this peer: its own, or that of the proxy of its identity that has
   * most. `null`: none has any.
   */
  #givesWay(peer: Peer): Peer | null {
    if (peer.hellos.count > 0) return peer;
    let most: Peer | null = null;
    for (const id of peer.identity.proxies) {
      const other = this.#data.peers.find(id);
      if (other !== null && other.hellos.count > (most?.hellos.count ?? 0)) most = other;
    }
    return most;
  }

  /**
   * Frees the oldest place of a connection, and tells its owner, who may have gone long ago: the broker never sees
   * who is behind a proxy go. What that has sent before it learns of it has to be told of failures, too.
   */
  #freeHello(peer: Peer): void {
    const { hellos, identity } = peer;
    const place = hellos.freeOldest();
    identity.hellos--;
    if (hellos.count === 0) identity.proxies.delete(peer.id);
    this.#replies.countRefused(HELLOS_USED_UP, MMI_HELLO, null, peer);
    this.#replies.refuseHello(peer, place, HELLOS_USED_UP);
    const { envelope } = place;
    this.#freed.push({ peer, envelope });
    this.#freedBytes += envelope.length;
    while (this.#freed.length > FREED_MAX || this.#freedBytes > FREED_BYTES_MAX) {
      const oldest = present(this.#freed.shift(), 'the oldest');
      this.#freedBytes -= oldest.envelope.length;
      this.#forgetHello(oldest.peer, oldest.envelope);
    }
  }

  #forgetHello(peer: Peer, envelope: Buffer): void {
    const session = peer.hellos.forget(envelope)?.session ?? null;
    const { sessions } = this.#data;
    // The client may say hello again, and then go on: what it has sent is still here.
    if (session?.client.peer === peer) sessions.stays(session, sessions.now);
  }

  cancel(number: number, ids: readonly Buffer[], now: number): boolean {
    const { requests, table } = this.#data;
    const id = this.#of(number);
    const client = id === NONE ? null : requests.clientOf(id);
    if (client === null) return true;
    if (table.get(id, ENVELOPE_BYTES) > CANCEL_ENVELOPE_BYTES_MAX) return false;
    return this.#clientScans.cancel(client, requests.envelope(id), ids, now);
  }

  /**
   * Ends all that are not answered, after the services were told to stop, and ignores later answers. They get
   * no answer, because it is uncertain whether they took effect, except those that only ask, which are refused.
   */
  endAll(): void {
    const { table, requests } = this.#data;
    this.#generation++;
    for (const id of table.all(INTERNAL)) {
      if (table.is(id, QUERY)) {
        this.#replies.sendRefusal(id, NOT_ACTIVE.status, NOT_ACTIVE.text);
      }
      requests.release(id, 'too_late');
    }
  }
}
