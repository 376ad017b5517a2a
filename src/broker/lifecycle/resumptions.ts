/**
 * Sessions (D116): a client that lost its connection comes back over another one, and learns what became of its
 * requests. Until then those that wait keep their place, those at workers go on, and answers are kept.
 */
import { ownCopy } from '../../core/bytes.js';
import { EMPTY } from '../../wire/mdp.js';
import type { ResumeState } from '../../wire/mmi.js';
import { DRAINING, MEMORY_FULL, overQuota, type Refusal } from '../admission/refusal.js';
import type { Client, Peer, Session } from '../state/entities.js';
import { type HelloPlace, packedFrames } from '../state/hellos.js';
import { type RequestId, STREAMED } from '../state/request-table.js';
import { SESSION_BYTES, SessionOf } from '../state/session.js';
import type { BrokerData } from './broker-data.js';
import { type ClientScans, keyOf } from './client-scans.js';
import type { Replies } from './replies.js';
import type { RequestEnds } from './request-ends.js';

const SESSIONS_USED_UP = overQuota('sessions');

interface Opened {
  readonly session: Session;
  /** Whether it was there before. */
  readonly isKnown: boolean;
}

export class Resumptions {
  readonly #data: BrokerData;
  readonly #replies: Replies;
  readonly #requestEnds: RequestEnds;
  readonly #clientScans: ClientScans;

  constructor(
    data: BrokerData,
    replies: Replies,
    requestEnds: RequestEnds,
    clientScans: ClientScans,
  ) {
    this.#data = data;
    this.#replies = replies;
    this.#requestEnds = requestEnds;
    this.#clientScans = clientScans;
  }

  // ---------------------------------------------------------------- a hello with a session

  /**
   * The session that the sender of a hello names: a new one, or one that it takes over at once, because the name is
   * the proof.
   * @param place of the hello
   * @returns the refusal if there is no room for it
   */
  open(peer: Peer, { envelope, dialect }: HelloPlace, name: string): Opened | Refusal {
    const { sessions } = this.#data;
    const key = [peer.identity.name, envelope.toString('latin1'), name].join('\n');
    const known = sessions.byKey.get(key);
    if (known === undefined) return this.#begin(key, peer, { envelope, dialect });
    known.dialect = dialect;
    if (known.client.peer === peer) sessions.cameBack(known);
    else this.#move(known, peer);
    return { session: known, isKnown: true };
  }

  #begin(key: string, peer: Peer, { envelope, dialect }: HelloPlace): Opened | Refusal {
    const { sessions, clients } = this.#data;
    const { identity } = peer;
    if (identity.sessions >= identity.quotas.sessions) {
      this.#data.counters.quotas.sessions++;
      return this.#refused(peer, SESSIONS_USED_UP);
    }
    const bytes = bytesOf(key);
    if (!identity.memory.mayHold(bytes)) return this.#refused(peer, MEMORY_FULL);
    identity.memory.add('contracts', bytes);
    const client = envelope.length === 0 ? clients.of(peer) : clients.add(peer);
    const own = client.session === null ? client : clients.add(peer);
    const before = envelope.length === 0 ? EMPTY : envelope;
    const session = new SessionOf(key, own, before, packedFrames(envelope), dialect);
    own.session = session;
    sessions.add(session);
    this.#attach(session, peer);
    return { session, isKnown: false };
  }

  #refused({ key, address }: Peer, refusal: Refusal): Refusal {
    this.#data.events.emit({ name: 'session.refused', reason: refusal.text, key, address });
    return refusal;
  }

  #attach(session: Session, peer: Peer): void {
    if (session.envelopeFrames > 0) (peer.proxied ??= new Set()).add(session);
    else this.#replace(peer, session);
  }

  /** A connection has one session of its own: a client that begins another one does not go on with the last. */
  #replace(peer: Peer, session: Session): void {
    const last = peer.session;
    peer.session = session;
    if (last !== null && last !== session && last.client.peer === peer) this.end(last);
  }

  #move(session: Session, peer: Peer): void {
    const { clients, sessions, sink } = this.#data;
    const before = session.client.peer;
    if (before !== null) {
      this.#detach(session, before);
      session.lost();
      // Nothing that still arrives there may count: the client has been told what is unknown.
      if (session.envelopeFrames === 0 && !before.closing) {
        before.closing = true;
        sink.close(before.id);
      }
    }
    sessions.cameBack(session);
    if (session.envelopeFrames === 0) clients.become(session.client, peer);
    else clients.move(session.client, peer);
    this.#attach(session, peer);
  }

  /** The broker ends: it tells all that are here that it never took what it has not answered by now. */
  finish(): void {
    for (const session of this.#data.sessions.byKey.values()) {
      const { peer } = session.client;
      if (peer?.closing === false) this.#replies.refuseHello(peer, session, DRAINING);
    }
  }

  /** A client that chose its routing id is back under it (D26). */
  rejoined(session: Session, peer: Peer): void {
    this.#data.sessions.cameBack(session);
    this.#attach(session, peer);
  }

  #detach(session: Session, peer: Peer): void {
    peer.proxied?.delete(session);
    if (peer.session === session) peer.session = null;
  }

  // ---------------------------------------------------------------- ends

  /** A connection has ended. */
  left(peer: Peer, now: number): void {
    const { session, proxied } = peer;
    if (session !== null) this.#leave(session, peer, now);
    if (proxied !== null) for (const one of [...proxied]) this.#leave(one, peer, now);
  }

  #leave(session: Session, peer: Peer, now: number): void {
    const { sessions } = this.#data;
    const { client } = session;
    this.#detach(session, peer);
    if (client.peer !== peer) return;
    client.peer = null;
    if (session.hasRequests) sessions.left(session, now);
    else this.#drop(session);
    // `Clients.leave` does this for the connection's own client.
    if (peer.client !== client) this.#depart(client);
  }

  #depart(client: Client): void {
    const departed = this.#data.clients.depart(client);
    if (departed !== null) this.#clientScans.departed(departed);
  }

  /**
   * Nothing is kept for a client any more. Its requests go on while it is connected, and else end as those of any
   * client.
   */
  end(session: Session): void {
    if (session.hasEnded) return;
    const { client } = session;
    if (client.peer !== null) this.#detach(session, client.peer);
    this.#drop(session);
    if (client.peer === null) this.#depart(client);
    else this.#data.clients.requestEnded(client);
    this.#data.identities.releaseIfUnused(client.identity);
  }

  /** Nobody comes back to the sessions of a connection. */
  endAll({ session, proxied }: Peer): void {
    if (session !== null) this.end(session);
    if (proxied !== null) for (const one of [...proxied]) this.end(one);
  }

  #drop(session: Session): void {
    const { client } = session;
    this.#countDropped(session);
    client.identity.memory.add('contracts', -bytesOf(session.key));
    this.#data.sessions.delete(session);
    client.session = null;
  }

  /**
   * The time of a client is over that has requests at workers. Its session stays as long as these go on, or one that
   * knows no better, because it was stopped meanwhile, would send them again.
   */
  #outlast(session: Session, now: number): void {
    const { client } = session;
    this.#dropUnsent(session);
    if (client.peer === null) this.#clientScans.dropWaiting(client);
    this.#data.sessions.stays(session, now);
  }

  #dropUnsent(session: Session): void {
    this.#countDropped(session);
    session.clearUnsent();
  }

  #countDropped(session: Session): void {
    for (let left = session.neverSent; left > 0; left--) this.#replies.countDropped('client_gone');
  }

  /** @param budget maximum number of sessions to handle @returns false if there is more to do */
  run(now: number, budget: number): boolean {
    const { sessions } = this.#data;
    let left = budget;
    for (let over = sessions.nextOver(now); over !== null; over = sessions.nextOver(now)) {
      if (left-- === 0) return false;
      if (this.#clientScans.mayBeOut(over.client)) this.#outlast(over, now);
      else this.end(over);
    }
    for (let back = sessions.nextUnasked(now); back !== null; back = sessions.nextUnasked(now)) {
      this.#dropUnsent(back);
      if (left-- <= 0) return false;
    }
    return sessions.sweep(now, budget);
  }

  // ---------------------------------------------------------------- what became of requests

  /**
   * Says what became of requests, after it has sent the answers that are kept.
   * @param ids of their requests
   * @param answer called once, perhaps within this call
   * @returns false if there is no memory to look for them
   */
  resume(
    session: Session,
    ids: readonly Buffer[],
    answer: (states: ResumeState[]) => void,
  ): boolean {
    const { client, envelope } = session;
    const known = ids.filter((id) => !session.isUnknown(id));
    const keys = known.map((id) => keyOf(envelope, id));
    return this.#clientScans.lookFor(client, keys, (here) => {
      const kept = this.#keptOf(session, known);
      const states = ids.map((id) => this.#stateOf(session, id, here, kept));
      const isResumed = (state: ResumeState): boolean => state === 'open' || state === 'answered';
      this.#data.counters.resumed += states.filter(isResumed).length;
      answer(states);
    });
  }

  /** Recent answers, by the ids of their requests. */
  #keptOf(session: Session, ids: readonly Buffer[]): Map<string, Buffer> {
    const kept = new Map<string, Buffer>();
    if (session.recent === null) return kept;
    const asked = new Set(ids.map((id) => id.toString('latin1')));
    for (const answer of session.recent.all()) {
      const id = session.idOf(answer);
      if (asked.has(id)) kept.set(id, ownCopy(answer));
    }
    return kept;
  }

  #stateOf(
    session: Session,
    id: Buffer,
    here: ReadonlyMap<string, RequestId>,
    kept: ReadonlyMap<string, Buffer>,
  ): ResumeState {
    if (session.isUnknown(id)) return 'unknown';
    const text = id.toString('latin1');
    const request = here.get(keyOf(session.envelope, id));
    if (request !== undefined) return this.#isWhole(request) ? 'open' : 'gone';
    if (session.held?.has(text) === true) return 'open';
    const answer = kept.get(text) ?? session.unsent?.get(text);
    if (answer === undefined) return 'gone';
    const peer = session.client.peer;
    if (peer?.closing !== false) return 'kept';
    const { output } = this.#data;
    const hasRoom = output.left(peer.id) >= Math.min(answer.length, output.max());
    if (!hasRoom) return 'kept';
    this.#replies.sendAgain(session, peer, answer);
    session.forgetUnsent(text);
    return 'answered';
  }

  /** Parts that were sent over the lost connection may be lost: what follows is not the whole answer. */
  #isWhole(request: RequestId): boolean {
    if (!this.#data.table.is(request, STREAMED)) return true;
    this.#requestEnds.cancel(request);
    return false;
  }
}

/** The memory that a session takes, besides what is kept in it. */
function bytesOf(key: string): number {
  return SESSION_BYTES + key.length;
}
