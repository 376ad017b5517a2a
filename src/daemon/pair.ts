/**
 * One node of a pair: connects the `bstar` machine, its epoch file and its link with the broker and
 * Titanic. Only this file knows all of them.
 */
import type { Broker } from '../broker/broker.js';
import type { PairEvent, PairEvents } from '../bstar/events.js';
import type { Facts, Persisted, State } from '../bstar/facts.js';
import type { Service } from '../bstar/fsm.js';
import type { Introduction } from '../bstar/io/handshake.js';
import type { PeerLink, PeerLinkEvents } from '../bstar/io/peer-link.js';
import { PairMachine } from '../bstar/pair.js';
import type { JoinFigures, Objection, PairSink } from '../bstar/ports.js';
import type { Config } from '../config/config.js';
import { webAddress } from '../core/web-address.js';
import type { Rejected } from '../transport/port.js';
import type { Hello, PeerHolding, PeerMessage, PeerVersion } from '../wire/peer.js';
import { KeysCompared } from './pair-keys.js';
import type { PairStore } from './pair-store.js';

/** Stores the epoch: in a file, or in the simulator. */
export interface EpochKeeper {
  readonly persisted: Persisted;
  /** @param done called once it is on disk, never within the call */
  persist(state: Persisted, done: () => void): void;
}

/** What a node of a pair depends on. */
export interface PairSurroundings {
  readonly config: Config;
  readonly broker: Broker;
  /** Input arrived: a turn is due. */
  readonly wake: () => void;
  readonly epochs: EpochKeeper;
  /** Digest of the keys that this node allows, and their rights. */
  readonly keys: () => Buffer;
  /** `null`: nothing is replicated. */
  readonly store: PairStore | null;
  readonly events: PairEvents;
  /** Monotonic milliseconds. */
  readonly now: number;
}

/** An operator's command that waits for its outcome. */
interface Wish {
  readonly isMet: (facts: Readonly<Facts>) => boolean;
  /** Why it can no longer succeed, or `null`. */
  readonly obstacle: (facts: Readonly<Facts>) => string | null;
  readonly settle: (reason: string | null) => void;
}

export class PairNode implements PairSink, PeerLinkEvents {
  readonly machine: PairMachine;
  /** Resolves once the peer has connected. */
  readonly met: Promise<void>;
  readonly #config: Config;
  readonly #broker: Broker;
  readonly #wake: () => void;
  readonly #epochs: EpochKeeper;
  readonly #keys: KeysCompared;
  readonly #store: PairStore | null;
  readonly #events: PairEvents;
  #link: PeerLink | null = null;
  #meet: () => void = () => undefined;
  #wishes: Wish[] = [];
  #wasInSync = false;
  #isAsking = false;
  #peerPage: string | null = null;
  #now: number;

  constructor(surroundings: PairSurroundings) {
    const { config, broker, wake, epochs, keys, store, events, now } = surroundings;
    this.#config = config;
    this.#broker = broker;
    this.#wake = wake;
    this.#epochs = epochs;
    this.#keys = new KeysCompared(keys);
    this.#store = store;
    this.#events = events;
    this.#now = now;
    this.met = new Promise((resolve) => {
      this.#meet = resolve;
    });
    const { role, heartbeatIntervalMs } = config.bstar;
    const options = {
      role: role === 'backup' ? ('backup' as const) : ('primary' as const),
      replication: store === null ? ('off' as const) : config.titanic.replication,
      heartbeatIntervalMs,
      isSealed: config.bstar.curve !== null,
    };
    this.machine = new PairMachine(options, epochs.persisted, this, now);
    // Clients are served only once this node knows that it is to serve them.
    broker.setAdmission('refusing', now);
  }

  attach(link: PeerLink): void {
    this.#link = link;
    this.#wake();
  }

  introduction(): Introduction {
    const { bstar, node, titanic } = this.#config;
    return {
      pair: bstar.pair,
      role: bstar.role === 'backup' ? 'backup' : 'primary',
      replication: this.#store === null ? 'off' : titanic.replication,
      heartbeatIntervalMs: bstar.heartbeatIntervalMs,
      node: node.name,
      storeId: this.#store?.storeId ?? null,
      epoch: this.machine.facts.epoch,
      publicUrl: this.#config.http.publicUrl,
    };
  }

  // ---------------------------------------------------------------- a turn

  /** The nodes do not allow the same keys, or not with the same rights. */
  get keysDiffer(): boolean {
    return this.#keys.differ;
  }

  /** The address of the peer's page, as last reported; `null`: none reported. */
  get peerPage(): string | null {
    return this.#peerPage;
  }

  /** A key may no longer be the peer's. */
  revoke(key: string): void {
    this.#link?.revoke(key);
  }

  /** Called first in a turn. */
  look(now: number): void {
    this.#now = now;
    const stoodMs = Math.round(this.machine.look(now));
    if (stoodMs > 0) this.#emit({ name: 'ha.paused', stoodMs });
  }

  /** True while nothing may be shown or acknowledged (D19). */
  get isFenced(): boolean {
    return this.machine.facts.fenced;
  }

  /** Called after all available input was read. */
  run(now: number, isSettled: boolean): void {
    this.machine.run(now);
    if (isSettled) this.machine.settled();
    this.#notice();
    this.#link?.flush();
  }

  dueInMs(now: number): number {
    return Math.max(0, this.machine.dueAt - now);
  }

  /** Completes operators' commands, and updates what is shown of the pair. */
  #notice(): void {
    const { facts } = this.machine;
    const { state } = facts;
    const isInSync = this.machine.isInSync;
    if (this.#wasInSync && !isInSync && state === 'active') this.#emit({ name: 'ha.unsynced' });
    this.#wasInSync = isInSync;
    if (this.#keys.isNews(this.#now)) this.#emit({ name: 'ha.keys_differ' });
    if (this.#wishes.length === 0) return;
    const open: Wish[] = [];
    for (const wish of this.#wishes) {
      const isMet = wish.isMet(facts);
      const why = isMet ? null : wish.obstacle(facts);
      if (isMet || why !== null) wish.settle(why);
      else open.push(wish);
    }
    this.#wishes = open;
  }

  // ---------------------------------------------------------------- clients and operators

  /** A client sent a request to a node that does not serve. Returns whether to hold the request. */
  readonly vote = (): boolean => {
    this.#isAsking = true;
    const isHeld = this.machine.vote();
    this.#isAsking = false;
    return isHeld;
  };

  /** Resolves with the reason for a refusal, or `null` once this node is active. */
  promote(): Promise<string | null> {
    return this.#wish(this.machine.promote(), {
      isMet: ({ state }) => state === 'active',
      obstacle: ({ writing }) => (writing === null ? 'the peer came back' : null),
    });
  }

  /** Resolves with the reason for a refusal, or `null` once the peer is active. */
  switchover(): Promise<string | null> {
    // The peer becomes active only after it has this node's data; losing the peer ends the attempt.
    return this.#wish(this.machine.switchover(), {
      isMet: ({ state, peer, link }) => state !== 'active' && (!link || peer?.state === 'active'),
      obstacle: ({ state, handover }) =>
        state === 'active' && handover === 'none' ? 'the peer did not take over' : null,
    });
  }

  #wish(refusal: string | null, wish: Omit<Wish, 'settle'>): Promise<string | null> {
    this.#wake();
    if (refusal !== null) return Promise.resolve(refusal);
    return new Promise((resolve) => {
      this.#wishes.push({ ...wish, settle: resolve });
    });
  }

  async close(): Promise<void> {
    for (const { settle } of this.#wishes) settle('this node is stopping');
    this.#wishes = [];
    // No more data from the peer goes to the store, which is closed next.
    this.machine.closed();
    await this.#link?.close();
  }

  // ---------------------------------------------------------------- events of the link

  connected({ node, publicUrl }: Pick<Hello, 'node' | 'publicUrl'>, version: PeerVersion): void {
    this.#wake();
    // A link goes wherever its address says: anything but a valid web address is ignored.
    this.#peerPage = publicUrl === null ? null : webAddress(publicUrl);
    this.#emit({ name: 'ha.connected', peer: node, version });
    if (this.#store !== null) this.#store.format = version;
    this.#meet();
    this.machine.connected();
  }

  objectionTo(message: PeerMessage): Objection | null {
    return this.machine.objectionTo(message);
  }

  message(message: PeerMessage): void {
    this.#wake();
    if (message.kind === 'status') this.#keys.peerSaid(message.keys);
    this.machine.message(message);
  }

  receiving(): void {
    this.#wake();
    this.machine.receiving();
  }

  disconnected(): void {
    this.#wake();
    this.#keys.peerSaid(null);
    this.#emit({ name: 'ha.disconnected' });
    this.machine.closed();
  }

  refused({ code, text }: Objection, from: string, came: Rejected | null): void {
    const { key = null, address = null } = came ?? {};
    this.#emit({ name: 'ha.refused', code, from, text, key, address });
  }

  refusedByPeer(reason: string): void {
    const who = { from: 'the peer', key: null, address: null };
    this.#emit({ name: 'ha.refused', code: 'by_peer', text: reason, ...who });
  }

  rejected(kind: string, reason: string, { address, key }: Rejected): void {
    this.#emit({ name: 'ha.rejected', kind, reason, address, key });
  }

  // ---------------------------------------------------------------- effects of the machine

  get keys(): Buffer {
    return this.#keys.own;
  }

  get holds(): PeerHolding | null {
    return this.#store?.holds ?? null;
  }

  persist(state: Persisted): void {
    this.#epochs.persist(state, () => {
      this.#wake();
      this.machine.persisted();
    });
  }

  send(message: PeerMessage): void {
    this.#link?.send(message);
  }

  closeLink(): void {
    this.#link?.disconnect();
  }

  holdOff(ms: number): void {
    this.#link?.holdOff(ms);
  }

  serve(service: Service): void {
    // The broker is inside the request that asked: it holds that request by itself.
    if (this.#isAsking && service === 'holding') return;
    this.#broker.setAdmission(service, this.#now);
    this.#wake();
  }

  activate(): void {
    this.#store?.activate();
  }

  deactivate(): void {
    this.#store?.deactivate();
    // Nobody will answer them any more.
    this.#broker.dropInternal();
  }

  read(from: PeerHolding | null): void {
    this.#store?.read(from);
  }

  readOn(): void {
    this.#store?.readOn();
  }

  merge(records: Buffer, holds: PeerHolding, isFromActive: boolean): void {
    this.#store?.merge(records, holds, isFromActive);
  }

  apply(batch: Buffer, number: number): void {
    this.#store?.apply(batch, number);
  }

  peerBecame(number: number, of: number): void {
    this.#store?.peerBecame(number, of);
  }

  peerHolds(number: number): void {
    this.#store?.peerHolds(number);
  }

  confirmed(number: number): void {
    this.#store?.confirmed(number);
  }

  unconfirmed(number: number): void {
    this.#store?.unconfirmed(number);
  }

  probed(number: number): void {
    this.#store?.probed(number);
  }

  unprobed(): void {
    this.#store?.unprobed();
  }

  changed(from: State, to: State, reason: string): void {
    this.#emit({ name: 'ha.changed', from, to, epoch: this.machine.facts.epoch, reason });
  }

  joined(figures: JoinFigures): void {
    this.#store?.keep();
    this.#emit({ name: 'ha.merged', ...figures });
  }

  split(epoch: number, peerEpoch: number): void {
    this.#emit({ name: 'ha.split', epoch, peerEpoch });
  }

  #emit(event: PairEvent): void {
    this.#events.emit(event);
  }
}
