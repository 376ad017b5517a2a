/**
 * Programs that send requests over HTTP, as peers of the broker: a transport whose connections are HTTP
 * requests. So rights, limits, quotas and memory hold for them as for every client. A peer is used for
 * one request at a time; one that is free is used again by the same program.
 */
import { httpError } from '../../admin/http/errors.js';
import type { Connected } from '../../admin/http/route.js';
import { TOKEN_PREFIX } from '../../config/http-access.js';
import { monotonicMs } from '../../core/clock.js';
import { type Holdings, STALLED_MS } from '../../core/holdings.js';
import { isLargeAlone } from '../../core/packed.js';
import { pieceOf } from '../../core/piece.js';
import { TurnQueue } from '../../core/turn-queue.js';
import type { Rights } from '../../node/key-rights.js';
import { identityOf, shownAddress } from '../../zmtp/identity.js';
import type {
  Closing,
  OpenedRouter,
  PeerId,
  PeerNumbers,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../../zmtp/port.js';
import { Call, type CallOwner, type EndedBy } from './call.js';

/** Free peers of one program, and how long each is kept. */
const IDLE_MAX = 64;
const IDLE_MS = 30_000;
/** How long one turn reads messages for programs. */
const TURN_MS = 2;

interface Opened {
  readonly events: TransportEvents;
  readonly numbers: PeerNumbers;
  readonly holdings: Holdings;
}

/** The name of a token as a key: of rights, quotas, and of what it stores. */
export function keyOfToken(token: string): string {
  return TOKEN_PREFIX + token;
}

export class Callers implements Transport {
  readonly #listener: number;
  #opened: Opened | null = null;
  #limits: RouterLimits | null = null;
  readonly #calls = new Map<PeerId, Call>();
  /** The calls of each key. */
  readonly #ofKey = new Map<string, Set<Call>>();
  readonly #idle = new Map<string, Call[]>();
  /** Messages for them were written in this turn of the broker. */
  readonly #written = new Set<Call>();
  /** Calls that are to proceed: tokens take turns, and so do the calls of each. */
  readonly #due = new TurnQueue<Call>();
  #isTurnDue = false;
  #sweep: NodeJS.Timeout | null = null;

  /** @param listener its index, as `ListenerOptions.index` */
  constructor(listener: number) {
    this.#listener = listener;
  }

  readonly open = ({
    events,
    peers,
    holdings,
    limits,
    opening,
  }: RouterOptions): Promise<OpenedRouter> => {
    if (holdings !== undefined) this.#opened = { events, numbers: peers, holdings };
    this.#limits = limits;
    opening?.(this);
    return Promise.resolve({ transport: this, endpoints: [] });
  };

  // ---------------------------------------------------------------- for the routes

  /** The largest message, all frames together. */
  get messageBytesMax(): number {
    return this.#limits?.messageBytesMax ?? 0;
  }

  /** The most frames of a message. */
  get framesMax(): number {
    return this.#limits?.framesMax ?? 0;
  }

  /**
   * A peer for one request. Never called from within a call from the broker.
   * @param token its name
   * @param service see `Call.use`
   * @throws ERR_HTTP_NOT_READY, ERR_HTTP_LIMIT
   */
  take(token: string | null, connected: Connected, service: Buffer | null): Call {
    const address = shownAddress(connected.address ?? undefined);
    const call = this.#taken(keyOfToken(token ?? ''), address).use(service, connected.drop);
    connected.onClosed(() => this.#leave(call));
    return call;
  }

  /** Ends requests of a key that it has no right to any more (D73); the broker has refused those that waited. */
  rightsChanged(key: string, rights: Rights): void {
    for (const call of this.#ofKey.get(key) ?? []) call.rightsChanged(rights);
  }

  #taken(key: string, address: string): Call {
    if (this.#opened === null) throw httpError('ERR_HTTP_NOT_READY', 'the node is starting');
    const idle = this.#idle.get(key) ?? [];
    const place = idle.findLastIndex((call) => call.address === address);
    const known = place < 0 ? undefined : idle.splice(place, 1)[0];
    if (known !== undefined) return known;
    const most = this.#limits?.connectionsPerKeyMax?.(this.#listener, key) ?? Infinity;
    if ((this.#ofKey.get(key)?.size ?? 0) >= most) {
      const other = idle.shift();
      if (other === undefined) {
        const text = 'the quota `connections` of this token is used up';
        this.#opened.events.rejected(this.#listener, 'connections', text, { address, key });
        throw httpError('ERR_HTTP_LIMIT', text);
      }
      this.#end(other);
    }
    return this.#connect(this.#opened, key, address);
  }

  #connect({ events, numbers, holdings }: Opened, key: string, address: string): Call {
    const id = numbers.take();
    const identity = identityOf(address, key);
    const owner: CallOwner = {
      events,
      schedule: this.#schedule,
      unreadMax: () => this.#limits?.outputBytesMax ?? Infinity,
    };
    const call = new Call(id, { key, address }, holdings.use(identity), owner);
    this.#calls.set(id, call);
    const ofKey = this.#ofKey.get(key) ?? new Set();
    this.#ofKey.set(key, ofKey.add(call));
    events.connected(id, {
      listener: this.#listener,
      routingId: Buffer.from(key),
      ownRoutingId: false,
      key,
      address,
      identity,
    });
    const refusal = call.greet();
    if (refusal === null) return call;
    this.#end(call);
    throw httpError('ERR_HTTP_LIMIT', refusal);
  }

  /**
   * Ends the use of a call: its request is answered, or its client has gone, and then the request is taken back (D26,
   * D106).
   */
  #leave(call: Call): void {
    if (call.isClosed) return;
    call.leave();
    const idle = this.#idle.get(call.key) ?? [];
    if (!call.isFree || idle.length >= IDLE_MAX || this.#opened === null) {
      if (!call.isClosing) this.#end(call);
      return;
    }
    call.idleSince = monotonicMs();
    idle.push(call);
    this.#idle.set(call.key, idle);
    this.#sweep ??= setInterval(this.#endIdle, IDLE_MS / 2).unref();
  }

  readonly #endIdle = (): void => {
    const until = monotonicMs() - IDLE_MS;
    for (const [key, idle] of this.#idle) {
      while (idle[0] !== undefined && idle[0].idleSince <= until) {
        const call = idle.shift();
        if (call !== undefined) this.#end(call);
      }
      if (idle.length === 0) this.#idle.delete(key);
    }
    if (this.#idle.size > 0 || this.#sweep === null) return;
    clearInterval(this.#sweep);
    this.#sweep = null;
  };

  #end(call: Call, isDropped = false): void {
    if (!this.#calls.delete(call.id)) return;
    const ofKey = this.#ofKey.get(call.key);
    ofKey?.delete(call);
    if (ofKey?.size === 0) this.#ofKey.delete(call.key);
    const idle = this.#idle.get(call.key);
    if (idle?.includes(call) === true) idle.splice(idle.indexOf(call), 1);
    this.#written.delete(call);
    call.close(isDropped);
    this.#opened?.events.disconnected(call.id);
    this.#opened?.numbers.release(call.id);
    this.#opened?.holdings.release(call.memory);
  }

  // ---------------------------------------------------------------- the transport

  room(): null {
    return null;
  }

  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const call = this.#calls.get(peer);
    if (call === undefined || call.isClosing) return;
    call.inbox.add(bytes, start, end, more);
    if (!more) this.#written.add(call);
  }

  writePacked(peer: PeerId, packed: Buffer, start: number, end: number, more: boolean): void {
    const call = this.#calls.get(peer);
    if (call === undefined || call.isClosing) return;
    call.inbox.addPacked(packed, start, end);
    if (!more) this.#written.add(call);
  }

  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void {
    const piece = isLargeAlone(bytes, end - start) ? pieceOf(bytes) : undefined;
    const call = this.#calls.get(peer);
    if (piece === undefined || call === undefined || call.isClosing) {
      this.write(peer, bytes, start, end, more);
      return;
    }
    call.inbox.share(piece, start, end, more);
    if (!more) this.#written.add(call);
  }

  flush(): void {
    if (this.#written.size === 0) return;
    const written = [...this.#written];
    this.#written.clear();
    const most = this.#limits?.outputBytesMax ?? Infinity;
    for (const call of written) {
      call.arrived();
      this.#await(call);
      if (call.unread <= most) continue;
      this.#giveUp(call, 'overrun');
      this.#opened?.events.outputFull(call.id);
    }
    // The broker's turn ends with this, so that of the programs begins.
    if (!this.#isTurnDue) this.#turn();
  }

  readonly #schedule = (call: Call): void => {
    this.#await(call);
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(this.#turn);
  };

  #await(call: Call): void {
    if (call.isDue || call.isClosed) return;
    call.isDue = true;
    this.#due.append(call);
  }

  readonly #turn = (): void => {
    this.#isTurnDue = true;
    const until = monotonicMs() + TURN_MS;
    do {
      const call = this.#due.shift();
      if (call === undefined) break;
      call.isDue = false;
      if (call.proceed()) this.#schedule(call);
    } while (monotonicMs() < until);
    this.#isTurnDue = !this.#due.isEmpty;
    if (this.#isTurnDue) setImmediate(this.#turn);
  };

  /** What it holds is released at once, so that no other has to be closed, too. */
  #giveUp(call: Call, why: EndedBy): void {
    this.disconnect(call.id);
    call.giveUp(why);
  }

  disconnect(peer: PeerId): void {
    const call = this.#calls.get(peer);
    if (call === undefined || call.isClosing) return;
    call.isClosing = true;
    setImmediate(() => this.#end(call, true));
  }

  waitingBytes(peer: PeerId): number {
    return this.#calls.get(peer)?.unread ?? 0;
  }

  takesRequest(): boolean {
    return true;
  }

  closeLargest(identity: string, { which, kind, reason }: Closing): boolean {
    if (which === 'workers') return false;
    const now = monotonicMs();
    const heldBy = (call: Call): number => (which === 'incomplete' ? call.unsent : call.held);
    let largest: Call | null = null;
    let most = 0;
    for (const call of this.#calls.values()) {
      if (call.memory.identity !== identity || call.isClosing) continue;
      if (which === 'stalled' && now - call.movedAt < STALLED_MS) continue;
      if (heldBy(call) <= most) continue;
      largest = call;
      most = heldBy(call);
    }
    if (largest === null) return false;
    const { address, key } = largest;
    this.#opened?.events.rejected(this.#listener, kind, reason, { address, key });
    this.#giveUp(largest, kind);
    return true;
  }

  setSecretKeys(): void {
    // It has no keys.
  }

  setLimits(limits: RouterLimits): void {
    this.#limits = limits;
  }

  close(): Promise<void> {
    for (const call of [...this.#calls.values()]) {
      // The last refusals of the broker.
      while (call.proceed());
      this.#end(call);
    }
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
    this.#opened = null;
    return Promise.resolve();
  }
}
