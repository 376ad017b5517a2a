/**
 * A node of a pair: connects the `bstar` machine, replication, the epoch file and the link with
 * the broker and Titanic. Only this file knows all of them.
 */
import type { Broker } from '../broker/broker.js';
import { Commands } from '../bstar/commands.js';
import type { PairEvents } from '../bstar/pair-events.js';
import type { Persisted, Progress, State } from '../bstar/facts.js';
import type { Service } from '../bstar/fsm.js';
import type { Introduction } from '../bstar/io/handshake.js';
import type { PeerLink, PeerLinkEvents } from '../bstar/io/peer-link.js';
import { PairMachine } from '../bstar/pair.js';
import type { Objection, PairSink, SignOfLife } from '../bstar/ports.js';
import type { Config } from '../config/config.js';
import type { RejectionKind } from '../core/event-fields.js';
import { webAddress } from '../core/web-address.js';
import { NoReplication } from '../bstar/replication/off.js';
import type { Replication } from '../bstar/replication/replication.js';
import type { Titanic } from '../titanic/machine/titanic.js';
import type { Rejected } from '../zmtp/port.js';
import { DIGEST_BYTES, FAILOVER_SECTIONS, type PairHello, type PeerMessage } from '../wire/pair.js';
import type { ServedPart } from './extension.js';
import { KeysCompared } from './pair-keys.js';

/** How far the peer has come when everything that it had is here. */
const HAS_ALL: readonly Progress[] = ['shipping', 'holding', 'in sync'];

/** Stores the epoch: in a file, or in the simulator. */
export interface EpochStore {
  readonly persisted: Persisted;
  /** @param done called once it is on disk, never within the call */
  persist(state: Persisted, done: () => void): void;
  /**
   * Notes that in this epoch, in which it is active, this node has had everything that its peer had.
   * Called once for each.
   */
  whole(epoch: number): void;
}

/** The stored requests of a node of a pair, which the other node has as well. */
export interface PairedTitanic {
  readonly titanic: Titanic;
  readonly replication: Replication;
}

/** What a node of a pair depends on. */
interface PairNodeDeps {
  readonly config: Config;
  readonly broker: Broker;
  /** Input arrived: a turn is due. */
  readonly wake: () => void;
  readonly epochs: EpochStore;
  /** Digest of the keys that this node allows, and their rights. */
  readonly keys: () => Buffer;
  /** A digest of the public keys of its listeners for each of `FAILOVER_SECTIONS`. */
  readonly listenerKeys: () => Buffer;
  /** `null`: nothing is replicated. */
  readonly stored: PairedTitanic | null;
  /** What else serves where the broker does. */
  readonly served?: readonly Pick<ServedPart, 'activate' | 'deactivate'>[];
  readonly events: PairEvents;
  /** Monotonic milliseconds. */
  readonly now: number;
}

export class PairNode implements PairSink, PeerLinkEvents {
  readonly machine: PairMachine;
  readonly commands: Commands;
  /** Resolves once the peer has connected. */
  readonly met: Promise<void>;
  readonly #config: Config;
  readonly #broker: Broker;
  readonly #wake: () => void;
  readonly #epochs: EpochStore;
  readonly #keys: KeysCompared;
  readonly #listenerKeys: KeysCompared;
  readonly #stored: PairedTitanic | null;
  readonly #served: readonly Pick<ServedPart, 'activate' | 'deactivate'>[];
  readonly #events: PairEvents;
  link: PeerLink | null = null;
  #meet: () => void = () => undefined;
  #wasInSync = false;
  #wholeEpoch = 0;
  #isVoteDue = false;
  #peerPage: string | null = null;
  #now: number;

  constructor(deps: PairNodeDeps) {
    const { config, broker, wake, epochs, stored, served = [], events, now } = deps;
    this.#config = config;
    this.#broker = broker;
    this.#wake = wake;
    this.#epochs = epochs;
    this.#keys = new KeysCompared(deps.keys);
    this.#listenerKeys = new KeysCompared(deps.listenerKeys);
    this.#stored = stored;
    this.#served = served;
    this.#events = events;
    this.#now = now;
    this.met = new Promise((resolve) => {
      this.#meet = resolve;
    });
    const { role, heartbeatIntervalMs } = config.bstar;
    const options = {
      role: role === 'backup' ? ('backup' as const) : ('primary' as const),
      heartbeatIntervalMs,
      isSealed: config.bstar.curve !== null,
    };
    const replication = stored?.replication ?? new NoReplication();
    this.machine = new PairMachine(options, epochs.persisted, this, replication, now);
    this.commands = new Commands(this.machine, wake);
    // Clients are served only once this node knows that it is to serve them.
    broker.setAdmission('refusing', now);
  }

  attach(link: PeerLink): void {
    this.link = link;
    this.#wake();
  }

  introduction(): Introduction {
    const { bstar, node, titanic } = this.#config;
    return {
      pair: bstar.pair,
      role: bstar.role === 'backup' ? 'backup' : 'primary',
      replication: this.#stored === null ? 'off' : titanic.replication,
      heartbeatIntervalMs: bstar.heartbeatIntervalMs,
      node: node.name,
      storeId: this.#stored?.replication.storeId ?? null,
      epoch: this.machine.facts.epoch,
      publicUrl: this.#config.http.publicUrl,
    };
  }

  // ---------------------------------------------------------------- a turn

  /** The nodes do not allow the same keys, or not with the same rights. */
  get keysDiffer(): boolean {
    return this.#keys.differ;
  }

  /** Where the listeners of the nodes have other public keys: `broker.listen, map.listen`, or nothing. */
  get listenersThatDiffer(): string {
    const sections = this.#listenerKeys.differing(FAILOVER_SECTIONS, DIGEST_BYTES);
    return sections.map((section) => `${section}.listen`).join(', ');
  }

  /** The address of the peer's page, as last reported; `null`: none reported. */
  get peerPage(): string | null {
    return this.#peerPage;
  }

  /** Called first in a turn. */
  look(now: number): void {
    this.#now = now;
    const stalledMs = Math.round(this.machine.look(now));
    if (stalledMs > 0) this.#events.emit({ name: 'ha.paused', stoodMs: stalledMs });
  }

  /** True while nothing may be shown or acknowledged (D19). */
  get isFenced(): boolean {
    return this.machine.facts.fenced;
  }

  /** Called after all available input was read. */
  run(now: number, isSettled: boolean): void {
    this.machine.run(now);
    if (this.#isVoteDue) {
      this.#isVoteDue = false;
      this.machine.vote();
    }
    if (isSettled) this.machine.allCommitted();
    this.#report();
    this.commands.run();
    this.link?.flush();
  }

  dueInMs(now: number): number {
    return Math.max(0, this.machine.dueAt - now);
  }

  #report(): void {
    const isInSync = this.machine.isInSync;
    const isActive = this.machine.facts.state === 'active';
    if (this.#wasInSync && !isInSync && isActive) this.#events.emit({ name: 'ha.unsynced' });
    this.#wasInSync = isInSync;
    this.#reportWhole();
    if (this.#keys.isNews(this.#now)) this.#events.emit({ name: 'ha.keys_differ' });
    if (this.#listenerKeys.isNews(this.#now)) {
      this.#events.emit({ name: 'ha.listener_keys_differ', at: this.listenersThatDiffer });
    }
  }

  /** Notes the epoch once this node has merged what its peer has, which has acknowledged nothing since. */
  #reportWhole(): void {
    const { state, progress, epoch } = this.machine.facts;
    if (state !== 'active' || !HAS_ALL.includes(progress) || epoch === this.#wholeEpoch) return;
    this.#wholeEpoch = epoch;
    this.#epochs.whole(epoch);
  }

  /**
   * A client's request asks this node to serve, and the broker holds it. It counts at the end of
   * the turn: by then everything readable was read, and the peer may have turned out to be alive.
   */
  voted(): void {
    this.#isVoteDue = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.commands.close();
    // No more data from the peer goes to the store, which is closed next.
    this.machine.closed();
    await this.link?.close();
  }

  // ---------------------------------------------------------------- events of the link

  connected({ node, publicUrl }: Pick<PairHello, 'node' | 'publicUrl'>, version: number): void {
    this.#wake();
    // A link goes wherever its address says: anything but a valid web address is ignored.
    this.#peerPage = publicUrl === null ? null : webAddress(publicUrl);
    this.#events.emit({ name: 'ha.connected', peer: node, version });
    this.#meet();
    this.machine.connected();
  }

  objectionTo(message: PeerMessage): Objection | null {
    return this.machine.objectionTo(message);
  }

  message(message: PeerMessage): void {
    this.#wake();
    if (message.kind === 'status') {
      this.#keys.peerSaid(message.keys);
      this.#listenerKeys.peerSaid(message.listenerKeys);
    }
    this.machine.message(message);
  }

  receiving(): void {
    this.#wake();
    this.machine.receiving();
  }

  disconnected(): void {
    this.#wake();
    this.#keys.peerSaid(null);
    this.#listenerKeys.peerSaid(null);
    this.#events.emit({ name: 'ha.disconnected' });
    this.machine.closed();
  }

  refused({ code, text }: Objection, peer: string, came: Rejected | null): void {
    const { key = null, address = null } = came ?? {};
    this.#events.emit({ name: 'ha.refused', code, peer, text, key, address });
  }

  refusedByPeer(reason: string): void {
    const who = { peer: 'the peer', key: null, address: null };
    const text = `the peer refused to pair with this node; it says: ${reason}`;
    this.#events.emit({ name: 'ha.refused', code: 'by_peer', text, ...who });
  }

  refusedAlive(sign: SignOfLife): void {
    this.#wake();
    this.machine.refused(sign);
  }

  rejected(kind: RejectionKind, reason: string, { address, key }: Rejected): void {
    this.#events.emit({ name: 'ha.rejected', kind, reason, address, key });
  }

  // ---------------------------------------------------------------- effects of the machine

  get keys(): Buffer {
    return this.#keys.own;
  }

  get listenerKeys(): Buffer {
    return this.#listenerKeys.own;
  }

  persist(state: Persisted): void {
    this.#epochs.persist(state, () => {
      this.#wake();
      this.machine.persisted();
    });
  }

  send(message: PeerMessage): void {
    this.link?.send(message);
  }

  closeLink(): void {
    this.link?.disconnect();
  }

  holdOff(ms: number): void {
    this.link?.holdOff(ms);
  }

  serve(service: Service): void {
    // The broker decides again about the requests that it holds, and asks again if need be.
    this.#isVoteDue = false;
    this.#broker.setAdmission(service, this.#now);
    this.#wake();
  }

  activate(): void {
    this.#stored?.titanic.activate();
    for (const each of this.#served) each.activate(this.machine.facts.epoch);
  }

  deactivate(): void {
    for (const each of this.#served) each.deactivate();
    this.#stored?.titanic.deactivate();
    // Nobody will answer them any more.
    this.#broker.internalRequests.endAll();
  }

  changed(from: State, to: State, reason: string): void {
    this.#events.emit({ name: 'ha.changed', from, to, epoch: this.machine.facts.epoch, reason });
  }

  split(epoch: number, peerEpoch: number): void {
    this.#events.emit({ name: 'ha.split', epoch, peerEpoch });
  }
}
