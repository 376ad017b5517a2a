/**
 * The fleet machine: plain requests between brokers, over a bus that may lose, repeat and delay
 * packs. It does no I/O. In each turn its shell passes what has arrived, then calls `run` once;
 * `now` is in monotonic milliseconds and never goes back. docs/fleet-protocol.md has the packs.
 */
import type {
  BridgedRequestsApi,
  Interconnect,
  LocalCredit,
  RemoteWorkersApi,
} from '../../../broker/ports.js';
import { OldestFirst } from '../../../core/oldest-first.js';
import {
  encodePack,
  type FleetCredit,
  heldEntry,
  hintEntry,
  offerEntry,
  presenceEntry,
  readEntries,
  readPack,
  wantEntry,
} from './codec.js';
import { FLEET_ID_BYTES, type FleetChannel, type FleetEntry, type FleetOffer } from './protocol.js';
import { Chunks } from './chunks.js';
import { FleetCounters } from './counters.js';
import type { DroppedReason, FleetEvents } from './fleet-events.js';
import { IncomingRequests, isOwn } from './incoming-requests.js';
import { Needs } from './needs.js';
import { Offers } from './offers.js';
import { OutgoingRequests } from './outgoing-requests.js';
import type { CreditNow } from './outbox.js';
import {
  ABSENT_MS,
  BEAT_MS,
  type FleetOptions,
  GONE_MAX,
  INBOX_SHARE,
  LATE_MS,
  PACK_OVERHEAD_BYTES,
  PACK_BYTES_PER_TURN,
  PACKS_PER_TURN,
  PEERS_MAX,
  PRESENCE_MS,
  SILENT_BEATS,
} from './options.js';
import { FleetPeer } from './peer.js';
import { NO_CREDIT, PeerShares } from './peer-shares.js';
import type { FleetSink } from './sink.js';
import { fleetDigest, Subjects } from './subjects.js';

/** A broker in `mmi.fleet`. */
export interface FleetMember {
  readonly id: string;
  readonly node: string;
  readonly version: string;
  readonly isSelf: boolean;
  /** Milliseconds since the broker was last heard. */
  readonly silentMs: number;
  /** Requests of this broker that are out at that one. */
  readonly out: number;
  /** Bytes of the requests that are out. */
  readonly outBytes: number;
  /** Requests of that broker that are at workers here. */
  readonly held: number;
  readonly keysDiffer: boolean;
}

/** How soon a broker is answered that was not heard before. */
const GREET_MS = 50;
const NOBODY: Buffer = Buffer.alloc(FLEET_ID_BYTES);

export class FleetMachine implements Interconnect {
  readonly counters: FleetCounters = new FleetCounters();
  readonly incoming: IncomingRequests;
  readonly #options: FleetOptions;
  readonly #sink: FleetSink;
  readonly #events: FleetEvents;
  readonly #id: string;
  readonly #fleet: Buffer;
  readonly #subjects: Subjects;
  readonly #outgoing: OutgoingRequests;
  readonly #needs: Needs;
  readonly #offers = new Offers();
  readonly #shares: PeerShares;
  readonly #chunks: Chunks;
  readonly #peers = new Map<string, FleetPeer>();
  /** Brokers to whom something is to be sent. */
  readonly #unsent = new Set<FleetPeer>();
  /** Brokers that are gone, by id, oldest first: their numbers go on if they were only stopped. */
  readonly #gone = new OldestFirst<string, FleetPeer>();
  /** Services that workers here serve, and that are listened for. */
  readonly #served = new Map<string, string>();
  readonly #inbox: Buffer[] = [];
  #inboxBytes = 0;
  /** Maximum size of a pack; 0: the bus is away. */
  #payloadMax = 0;
  readonly #sent: Record<Exclude<FleetChannel, 'direct'>, number> = {
    offer: 0,
    want: 0,
    presence: 0,
    hint: 0,
  };
  #now = 0;
  /** When the next turn was asked for. */
  #dueAt = Infinity;
  #beatAt = -Infinity;
  #presenceAt = -Infinity;
  /** Until when any broker wants lists. */
  #asksUntil = -Infinity;
  /** Whether it is time to look which brokers are silent. */
  #isLossDue = false;
  /** Whether it was reported that the bus is away. */
  #isDownReported = false;
  /** The bus is away, and nothing more is sent to other brokers. */
  #isPaused = false;
  /** The bus has more to send than its server takes. */
  #isBusFull = false;
  /** Services for which the answer to `seek` has changed. */
  readonly #decided = new Set<string>();
  #isLeaving = false;

  constructor(options: FleetOptions, sink: FleetSink, events: FleetEvents) {
    this.#options = options;
    this.#sink = sink;
    this.#events = events;
    this.#id = options.id.toString('hex');
    this.#fleet = fleetDigest(options.fleet, options.digest);
    this.#subjects = new Subjects(this.#fleet, options.digest);
    this.#outgoing = new OutgoingRequests(this.counters);
    this.#shares = new PeerShares((service) => this.#outgoing.credit(service));
    this.incoming = new IncomingRequests(this.counters, options.memoryBytesMax, this.#shares);
    this.#needs = new Needs(this.#outgoing, (service) => this.#decided.add(service));
    this.#chunks = new Chunks(options.messageBytesMax, options.memoryBytesMax);
  }

  // ---------------------------------------------------------------- what it shows

  /** Other brokers that are known now. */
  get peers(): number {
    return this.#peers.size;
  }

  get isUp(): boolean {
    return this.#payloadMax > 0;
  }

  /** Requests out at other brokers, and requests of others here. */
  get load(): { readonly out: number; readonly held: number } {
    return { out: this.#outgoing.out, held: this.incoming.count };
  }

  members(now: number): FleetMember[] {
    const { node, version } = this.#options;
    const keys = this.#options.keys();
    const { out, held } = this.load;
    const self = { id: this.#id, node, version, isSelf: true, silentMs: 0, keysDiffer: false };
    const others = [...this.#peers.values()].map((peer) => ({
      id: peer.id,
      node: peer.node,
      version: peer.version,
      isSelf: false,
      silentMs: Math.round(now - peer.heardAt),
      out: peer.outstanding.size,
      held: peer.held.size,
      outBytes: peer.unanswered,
      keysDiffer: peer.keys !== null && !peer.keys.equals(keys),
    }));
    const outBytes = others.reduce((sum, other) => sum + other.outBytes, 0);
    return [{ ...self, out, outBytes, held }, ...others];
  }

  // ---------------------------------------------------------------- inputs: the bus

  /** The time of the inputs that follow. */
  setTime(now: number): void {
    this.#now = now;
  }

  /** The bus carries packs of up to `payloadMax` bytes from now on. */
  linkUp(payloadMax: number, server: string): void {
    this.#payloadMax = payloadMax;
    this.incoming.takesParts = !this.#isBusShut;
    this.#isDownReported = false;
    this.#sink.subscribe(this.#subjects.direct(this.#id));
    this.#sink.subscribe(this.#subjects.presence);
    if (this.#options.hinted !== undefined) this.#sink.subscribe(this.#subjects.hints);
    for (const subject of this.#served.values()) this.#sink.subscribe(subject);
    for (const peer of this.#peers.values()) {
      peer.isHeard = false;
      this.#sink.subscribe(this.#subjects.offers(peer.id));
    }
    this.#presenceAt = -Infinity;
    this.#needs.renew();
    this.#events.emit({ name: 'fleet.connected', server });
  }

  /** The bus is away. What is out at others is lost if it is not back soon (D85). */
  linkDown(reason: string): void {
    if (this.#isDownReported) return;
    this.#isDownReported = true;
    this.#payloadMax = 0;
    this.incoming.takesParts = false;
    this.#needs.giveUp(this.#now);
    this.#events.emit({ name: 'fleet.disconnected', reason });
  }

  /**
   * Whether more was published than the server of the bus takes. What is for other brokers waits here
   * meanwhile, within limits, as while the bus is away; the parts of replies, with the broker machine.
   */
  busFull(isFull: boolean): void {
    this.#isBusFull = isFull;
    this.incoming.takesParts = !this.#isBusShut;
  }

  /** A pack, or anything else, has arrived. @param bytes kept */
  received(bytes: Buffer): void {
    const size = bytes.length + PACK_OVERHEAD_BYTES;
    const most = this.#options.memoryBytesMax() * INBOX_SHARE + this.#options.messageBytesMax();
    if (this.#inboxBytes + size > most) {
      this.#drop('full', null);
      return;
    }
    this.#inbox.push(bytes);
    this.#inboxBytes += size;
  }

  /** Nobody listens to a WANT for the service. */
  unheard(service: string): void {
    this.#needs.unheard(service, this.#now);
  }

  // ---------------------------------------------------------------- inputs: the broker machine

  /** A service has got its first worker here, or lost its last one. */
  service(name: Buffer, isServed: boolean): void {
    const key = name.toString('latin1');
    if (isOwn(name)) return;
    const subject = this.#subjects.want(name);
    if (isServed) this.#served.set(key, subject);
    else this.#served.delete(key);
    // Also while the bus is away: it would listen again when it is back.
    if (!isServed) this.#sink.unsubscribe(subject);
    else if (this.isUp) this.#sink.subscribe(subject);
  }

  wanted(service: Buffer): void {
    if (!isOwn(service)) this.#needs.wanted(service.toString('latin1'), this.#now);
  }

  seek(service: Buffer): 'served' | 'absent' | 'unknown' {
    if (isOwn(service)) return 'absent';
    return this.#needs.seek(service.toString('latin1'), this.#isAlone, this.#now);
  }

  ask(service: Buffer, answer: (isServed: boolean) => void): void {
    if (isOwn(service)) answer(false);
    else this.#needs.ask(service.toString('latin1'), this.#isAlone, this.#now, answer);
  }

  /** Tells the other brokers something about stored requests; it may be lost. */
  hint(content: Buffer): void {
    if (!this.isUp || this.#peers.size === 0) return;
    this.#publish('hint', this.#subjects.hints, hintEntry(content), null);
  }

  get #isAlone(): boolean {
    return this.#payloadMax === 0;
  }

  /** Begins the shutdown of this broker: it takes no more requests of others. */
  drain(): void {
    this.#isLeaving = true;
    this.#presenceAt = -Infinity;
  }

  // ---------------------------------------------------------------- turns

  /** Does everything that is due, after the broker's own turn. */
  run(now: number, bridged: BridgedRequestsApi, remote: RemoteWorkersApi): void {
    this.#now = now;
    this.#forgiveStall(now);
    this.#readInbox(remote, now);
    this.incoming.take(bridged, remote, now, (service, credit) => {
      this.#offers.stated(service, credit);
    });
    this.incoming.run(bridged, now);
    this.#outgoing.tellCancelled();
    if (now >= this.#beatAt + BEAT_MS) this.#beat(now);
    // A time-out counts only after everything that has arrived was read.
    if (this.#isLossDue && this.#inbox.length === 0) this.#declareSilentLost(remote, now);
    if (this.isUp === this.#isPaused) this.#followBus(remote);
    const want = (service: string): void => this.#want(service);
    const isWaiting = (service: string): boolean =>
      remote.waiting(Buffer.from(service, 'latin1')) > 0;
    const unfollow = (service: string): void => this.#outgoing.unfollow(service, remote, now);
    if (this.isUp) this.#needs.run(now, want, isWaiting, unfollow);
    for (const service of this.#decided) {
      this.#decided.delete(service);
      remote.seekAnswered(Buffer.from(service, 'latin1'), now);
    }
    if (!this.isUp) return;
    if (now >= this.#presenceAt + PRESENCE_MS) this.#sayPresence(now);
    const credit = this.#creditNow(remote);
    const offered = (service: Buffer): FleetCredit => {
      const local = credit(service);
      return { free: this.#shares.offered(local), total: local.total };
    };
    this.#offers.run(now, offered, this.incoming.room, (entry) => {
      const subject = this.#subjects.offers(this.#id);
      this.#publish('offer', subject, entry, null);
    });
    for (const peer of this.#unsent) {
      if (!this.#maySendTo(peer)) continue;
      this.#flush(peer, (service) => {
        this.#offers.stated(service, offered(service));
        return this.#creditFor(peer, service, credit(service));
      });
    }
  }

  dueInMs(now: number): number {
    const dueInMs = this.#dueInMs(now);
    this.#dueAt = now + dueInMs;
    return dueInMs;
  }

  #dueInMs(now: number): number {
    if (this.#inbox.length > 0 || this.#decided.size > 0 || !this.incoming.isSettled) return 0;
    if (!this.isUp) return this.#peers.size > 0 ? BEAT_MS / 2 : Infinity;
    if (this.#hasUnsent) return 0;
    const { out, held } = this.load;
    const beats = out + held > 0 || this.#asksUntil > now;
    const dueAt = Math.min(
      ...[beats ? this.#beatAt + BEAT_MS : Infinity, this.#presenceAt + PRESENCE_MS],
      ...[this.#needs.nextDueAt(now), this.#offers.nextDueAt(now)],
    );
    return Math.max(0, dueAt - now);
  }

  /** Whether something can be sent to a broker; this may become false while packs are sent. */
  #maySendTo({ isHeard }: FleetPeer): boolean {
    return isHeard && !this.#isBusFull;
  }

  /** The bus is away, or has more to send than its server takes. */
  get #isBusShut(): boolean {
    return !this.isUp || this.#isBusFull;
  }

  /** Something can be sent now. Brokers that were not heard yet are few. */
  get #hasUnsent(): boolean {
    for (const peer of this.#unsent) if (this.#maySendTo(peer)) return true;
    return false;
  }

  /** True if no request of this broker is out, and no answer waits to be sent. */
  get isSettled(): boolean {
    if (!this.incoming.isSettled || this.#outgoing.out > 0) return false;
    if (!this.isUp) return true;
    return !this.#isBusFull && !this.#hasUnsent;
  }

  /** A node that stalled does not count the silence of others (D19). */
  #forgiveStall(now: number): void {
    const stalledMs = now - this.#dueAt;
    if (stalledMs < BEAT_MS) return;
    for (const peer of this.#peers.values()) {
      peer.heardAt = now;
      peer.listedAt = now;
    }
  }

  // ---------------------------------------------------------------- what arrives

  #readInbox(remote: RemoteWorkersApi, now: number): void {
    let packs = 0;
    let left = PACK_BYTES_PER_TURN;
    while (packs < Math.min(PACKS_PER_TURN, this.#inbox.length) && left > 0) {
      left -= this.#inbox[packs++]?.length ?? 0;
    }
    for (const bytes of this.#inbox.splice(0, packs)) {
      this.#inboxBytes -= bytes.length + PACK_OVERHEAD_BYTES;
      this.#read(bytes, remote, now);
    }
  }

  #read(bytes: Buffer, remote: RemoteWorkersApi, now: number): void {
    const pack = readPack(bytes, this.#fleet);
    if (typeof pack === 'string') {
      this.#drop(pack, null);
      return;
    }
    const { channel, number, seen, sender, to, chunk } = pack;
    if (sender.equals(this.#options.id)) return;
    if (channel === 'direct' && !to.equals(this.#options.id)) {
      this.#drop('unknown', sender.toString('hex'));
      return;
    }
    const peer = this.#peerOf(sender, channel, number, now);
    if (peer === null) return;
    peer.numbers[channel].note(number, now);
    this.#hear(peer, now);
    // The other broker has seen no more than was sent to it.
    const seenByIt = Math.min(seen, peer.outbox.lastNumber);
    if (channel === 'direct') peer.seenByIt = Math.max(peer.seenByIt, seenByIt);
    let content: Buffer | 'invalid' | null = pack.entries;
    if (chunk !== null) content = this.#chunks.add(peer, number, chunk);
    if (content === null) return;
    const entries = content === 'invalid' ? null : entriesOf(content, channel, chunk !== null);
    if (entries === null) {
      this.#drop(chunk === null ? 'garbage' : 'chunk', peer.id);
      return;
    }
    for (const entry of entries) {
      const isFitting = CHANNEL_OF[entry.kind].includes(channel);
      const fault = isFitting ? this.#entry(peer, entry, remote, now) : 'unknown';
      if (fault !== null) this.#drop(fault, peer.id);
    }
  }

  /** @returns `null`: the number cannot be that of a new pack, or there are too many brokers */
  #peerOf(sender: Buffer, channel: FleetChannel, number: number, now: number): FleetPeer | null {
    const id = sender.toString('hex');
    const known = this.#peers.get(id);
    const isBusShut = (): boolean => this.#isBusShut;
    const peer =
      known ??
      this.#gone.get(id) ??
      new FleetPeer(sender, () => this.#now, this.#unsent, isBusShut);
    const fault = peer.numbers[channel].fault(number, now);
    if (fault !== null) {
      this.#drop(fault, id);
      return null;
    }
    if (known !== undefined) return known;
    if (this.#peers.size >= PEERS_MAX) {
      this.#drop('full', id);
      return null;
    }
    this.#gone.delete(id);
    peer.isHeard = false;
    this.#peers.set(id, peer);
    if (this.isUp) this.#sink.subscribe(this.#subjects.offers(id));
    return peer;
  }

  #hear(peer: FleetPeer, now: number): void {
    peer.heardAt = now;
    if (peer.isHeard) return;
    peer.isHeard = true;
    // So that it hears of this broker soon, too.
    this.#presenceAt = Math.min(this.#presenceAt, now - PRESENCE_MS + GREET_MS);
  }

  /** @returns why it was not used; `null`: it was */
  #entry(
    peer: FleetPeer,
    entry: FleetEntry,
    remote: RemoteWorkersApi,
    now: number,
  ): 'late' | 'unknown' | null {
    switch (entry.kind) {
      case 'request':
        this.#offers.wanted(entry.service, now);
        return this.incoming.arrived(peer, entry) ? null : 'unknown';
      case 'partial':
      case 'final':
      case 'fail':
        return this.#outgoing.answered(peer, entry, remote, now);
      case 'return':
        return this.#outgoing.returned(peer, entry, remote, now);
      case 'cancel':
        return this.incoming.cancelled(peer, entry.token) ? null : 'late';
      case 'held':
        this.#outgoing.listed(peer, entry.tokens, remote, now);
        return null;
      case 'ask':
        // The first list does not wait for the next beat.
        if (peer.asksUntil <= now) peer.list();
        peer.asksUntil = now + SILENT_BEATS * BEAT_MS;
        this.#asksUntil = peer.asksUntil;
        return null;
      case 'offer':
        for (const offer of entry.offers) this.#offered(peer, offer, remote, now);
        return null;
      case 'want':
        this.#answerWant(peer, entry.service, remote, now);
        return null;
      case 'presence':
        this.#heard(peer, entry, remote, now);
        return null;
      case 'hint':
        this.#options.hinted?.(entry.content);
        return null;
    }
  }

  #offered(peer: FleetPeer, offer: FleetOffer, remote: RemoteWorkersApi, now: number): void {
    // Others may need what this broker does not.
    const service = offer.service.toString('latin1');
    if (isOwn(offer.service) || !this.#needs.services.has(service)) return;
    this.#outgoing.offered(peer, offer, remote, now);
    if (offer.total > 0) this.#needs.found(service, now);
  }

  #answerWant(peer: FleetPeer, service: Buffer, remote: RemoteWorkersApi, now: number): void {
    if (this.#isLeaving) return;
    this.#offers.wanted(service, now);
    const local = remote.localCredit(service);
    if (local.total === 0) return;
    const credit = this.#creditFor(peer, service, local);
    peer.post(offerEntry([{ service, ...credit, bytes: this.incoming.room }]));
  }

  /** What workers here can take of the requests of one broker. */
  #creditFor(peer: FleetPeer, service: Buffer, local: LocalCredit): FleetCredit {
    if (!local.isQueued) return local;
    const free = this.#shares.left(peer, service.toString('latin1'), local);
    return { free, total: local.total };
  }

  #heard(
    peer: FleetPeer,
    { node, version, keys, isLeaving, takesOnce }: Extract<FleetEntry, { kind: 'presence' }>,
    remote: RemoteWorkersApi,
    now: number,
  ): void {
    const isFirst = peer.keys === null || peer.isLost;
    peer.isLost = false;
    const isOther = peer.keys?.equals(keys) !== true;
    peer.node = node;
    peer.version = version;
    peer.keys = Buffer.from(keys);
    peer.takesOnce = takesOnce;
    const { id } = peer;
    if (isFirst && !isLeaving) this.#events.emit({ name: 'fleet.peer_joined', node, id });
    if (isOther && !keys.equals(this.#options.keys())) {
      this.#events.emit({ name: 'fleet.keys_differ', node, id });
    }
    if (!isLeaving) return;
    peer.isLeaving = true;
    this.#outgoing.pause(peer, remote);
    if (peer.outstanding.size + peer.held.size > 0 || !peer.outbox.isEmpty) return;
    this.#declareLost(peer, 'left', remote, now);
    this.#forget(peer);
  }

  // ---------------------------------------------------------------- loss

  #declareSilentLost(remote: RemoteWorkersApi, now: number): void {
    this.#isLossDue = false;
    for (const peer of this.#peers.values()) {
      const silentMs = now - peer.heardAt;
      const isAbsent = silentMs >= ABSENT_MS;
      if (this.#outgoing.isSilent(peer, now)) this.#declareLost(peer, 'silent', remote, now);
      if (!isAbsent || peer.outstanding.size > 0) continue;
      this.#declareLost(peer, peer.isLeaving ? 'left' : 'silent', remote, now);
      // What workers here have of it goes on, and replies wait while they are of use: it may only be
      // stopped, or the bus be away.
      const hasReplies = !peer.outbox.isEmpty && silentMs < LATE_MS;
      if (peer.held.size === 0 && !hasReplies) this.#forget(peer);
    }
  }

  /** Declares a broker lost: it holds nothing any more, and what was out at it is tried again. */
  #declareLost(
    peer: FleetPeer,
    reason: 'silent' | 'left',
    remote: RemoteWorkersApi,
    now: number,
  ): void {
    const { id, node } = peer;
    const inFlight = peer.outstanding.size;
    this.#outgoing.peerLost(peer, remote, now);
    if (peer.isLost) return;
    peer.isLost = true;
    this.#events.emit({ name: 'fleet.peer_lost', node, id, inFlight, reason });
  }

  #forget(peer: FleetPeer): void {
    const { id } = peer;
    this.#peers.delete(id);
    this.#chunks.drop(peer);
    this.incoming.peerLost(peer);
    peer.outbox.clear();
    this.#unsent.delete(peer);
    this.#sink.unsubscribe(this.#subjects.offers(id));
    this.#gone.set(id, peer);
    if (this.#gone.size > GONE_MAX) this.#gone.shift();
  }

  #drop(reason: DroppedReason | 'late', sender: string | null): void {
    this.counters.dropped[reason]++;
    if (reason === 'late') return;
    this.#events.emit({ name: 'fleet.pack_dropped', reason, sender });
  }

  /** The bus went away, or is back: offers have to be asked for anew. */
  #followBus(remote: RemoteWorkersApi): void {
    this.#isPaused = !this.isUp;
    for (const peer of this.#peers.values()) this.#outgoing.pause(peer, remote);
  }

  // ---------------------------------------------------------------- what is sent

  /** Twice a second: lists to those whose work is held here, and questions to those who hold. */
  #beat(now: number): void {
    this.#beatAt = now;
    this.#isLossDue = true;
    if (!this.isUp) return;
    for (const peer of this.#peers.values()) {
      if (peer.held.size > 0 || peer.asksUntil > now) peer.list();
      this.#outgoing.ask(peer);
    }
  }

  #want(service: string): void {
    const name = Buffer.from(service, 'latin1');
    this.#publish('want', this.#subjects.want(name), wantEntry(name), service);
  }

  #sayPresence(now: number): void {
    this.#presenceAt = now;
    const { node, version } = this.#options;
    const keys = this.#options.keys();
    const presence = { node, version, keys, isLeaving: this.#isLeaving, takesOnce: true };
    this.#publish('presence', this.#subjects.presence, presenceEntry(presence), null);
  }

  #publish(
    channel: Exclude<FleetChannel, 'direct'>,
    subject: string,
    entry: Buffer,
    unheard: string | null,
  ): void {
    const { id: sender } = this.#options;
    const number = ++this.#sent[channel];
    const head = { channel, fleet: this.#fleet, sender, to: NOBODY, number, seen: 0 };
    this.#sink.publish(subject, encodePack(head, [entry], entry.length), unheard);
  }

  #flush(peer: FleetPeer, credit: CreditNow): void {
    this.#unsent.delete(peer);
    if (peer.isListDue) peer.outbox.add(heldEntry([...peer.held.keys()]));
    peer.isListDue = false;
    const { id: sender } = this.#options;
    const seen = peer.numbers.direct.last;
    const head = { channel: 'direct', fleet: this.#fleet, sender, to: peer.idBytes, seen } as const;
    const subject = this.#subjects.direct(peer.id);
    peer.outbox.flush(this.#payloadMax, head, credit, (pack) => {
      this.#sink.publish(subject, pack, null);
    });
  }

  /** What workers here can take, looked up once a turn for each service. */
  #creditNow(remote: RemoteWorkersApi): (service: Buffer) => LocalCredit {
    const known = new Map<string, LocalCredit>();
    let last: Buffer | null = null;
    let credit: LocalCredit = NO_CREDIT;
    return (service) => {
      if (this.#isLeaving) return NO_CREDIT;
      // Most entries are for the same service, whose name is the same object then.
      if (service === last) return credit;
      last = service;
      const name = service.toString('latin1');
      credit = known.get(name) ?? remote.localCredit(service);
      known.set(name, credit);
      return credit;
    };
  }
}

/**
 * Only an entry that is too large for one pack is sent in chunks. Many entries are only for one broker,
 * or for those who follow offers: what all read is one each, so that a pack costs them little.
 */
function entriesOf(
  content: Buffer,
  channel: FleetChannel,
  isChunked: boolean,
): FleetEntry[] | null {
  const isShort = isChunked || (channel !== 'direct' && channel !== 'offer');
  return isShort ? readEntries(content, 1) : readEntries(content);
}

/** The channels that entries of each kind come on. */
const CHANNEL_OF: Readonly<Record<FleetEntry['kind'], readonly FleetChannel[]>> = {
  request: ['direct'],
  partial: ['direct'],
  final: ['direct'],
  fail: ['direct'],
  return: ['direct'],
  held: ['direct'],
  ask: ['direct'],
  offer: ['direct', 'offer'],
  want: ['want'],
  presence: ['presence'],
  hint: ['hint'],
  cancel: ['direct'],
};
