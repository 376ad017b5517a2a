/** What operators, the page and metrics see of a pair, and its history since the start. */
import { PAIR_EVENTS, type PairEvent, type PairEvents } from '../bstar/pair-events.js';
import type { Facts } from '../bstar/facts.js';
import { mayServeAlone } from '../bstar/fsm.js';
import type { Config } from '../config/config.js';
import { monotonicMs } from '../core/clock.js';
import { textOf } from '../core/event-table.js';
import type { HaChange, Reason } from '../admin/api/node-answers.js';
import type { HaOrder, Pair, PairStatus } from '../admin/ports.js';
import type { PairFacts } from '../admin/metrics/pair-metrics.js';
import type { PairNode } from './pair.js';

const HISTORY_MAX = 100;

export class PairView implements PairEvents, Pair {
  readonly #config: Config;
  #node: PairNode | null = null;
  /** The newest first. */
  #history: HaChange[] = [];
  readonly #transitions = { waiting: 0, passive: 0, joining: 0, active: 0 };
  #splits = 0;
  /** The peer has been heard at least once since the start. */
  #wasHeard = false;
  /** Why the other node was refused as a peer. */
  #refused: string | null = null;
  /** Why data from the peer was not stored. */
  #unstored = '';

  constructor(config: Config) {
    this.#config = config;
  }

  attach(node: PairNode): void {
    this.#node = node;
  }

  emit(event: PairEvent): void {
    if (event.name === 'ha.changed') {
      const { from, to, reason } = event;
      const change = { at: new Date().toISOString(), from, to, reason };
      this.#history = [change, ...this.#history].slice(0, HISTORY_MAX);
      this.#transitions[to]++;
    } else if (event.name === 'ha.split') {
      this.#splits++;
    } else if (event.name === 'ha.failed') {
      this.#unstored = event.text;
    } else if (event.name === 'ha.refused') {
      this.#refused = event.text;
    } else if (event.name === 'ha.connected') {
      this.#wasHeard = true;
      this.#refused = null;
    }
  }

  // ---------------------------------------------------------------- for HTTP

  status(): PairStatus {
    const { node, bstar, titanic } = this.#config;
    const replication = titanic.enabled ? titanic.replication : 'off';
    const shown = { node: node.name, role: bstar.role, replication };
    const history = { lastChange: this.#history[0] ?? null, history: this.#history };
    const pair = this.#node?.machine;
    if (pair === undefined) {
      const nothing = {
        state: 'waiting',
        epoch: 0,
        inSync: false,
        lagMs: null,
        keysDiffer: null,
      };
      return { ...shown, ...nothing, peer: null, ...history };
    }
    const now = monotonicMs();
    const { state, epoch, link, peer } = pair.facts;
    return {
      ...shown,
      state,
      epoch,
      inSync: pair.isInSync,
      lagMs: pair.lagMs(now),
      keysDiffer: this.#node?.keysDiffer ?? null,
      peer: {
        up: link,
        state: peer?.state ?? null,
        epoch: peer?.epoch ?? null,
        // At its start the machine counts from then, as if it had heard the peer.
        heardMsAgo: this.#wasHeard ? Math.round(pair.heardMsAgo(now)) : null,
        publicUrl: this.#node?.peerPage ?? null,
      },
      ...history,
    };
  }

  async switchover(): Promise<HaOrder> {
    return order(await this.#node?.commands.switchover());
  }

  async promote(): Promise<HaOrder> {
    return order(await this.#node?.commands.promote());
  }

  // ---------------------------------------------------------------- for metrics and health

  get facts(): PairFacts {
    const { role, epoch, inSync, lagMs, peer } = this.status();
    return {
      role: role === 'fleet' ? 'standalone' : role,
      state: this.#node?.machine.facts.state ?? 'waiting',
      epoch,
      isPeerUp: peer?.up === true,
      isInSync: inSync,
      replicationLagMs: lagMs ?? 0,
      transitions: this.#transitions,
      splitBrains: this.#splits,
    };
  }

  /** Why clients are not served here; `null` if they are. */
  get notReady(): Reason | null {
    const pair = this.#node?.machine;
    if (pair === undefined || pair.service === 'serving') return null;
    const { state } = pair.facts;
    if (state === 'active') {
      const text = 'active, but not serving: handing over, or checking the peer';
      return { code: 'holding', text };
    }
    return { code: state, text: `${state}${this.#outlook(pair.facts)}` };
  }

  /** True if the next request of a client makes this node serve. */
  get takesOver(): boolean {
    return this.#node?.machine.service === 'voting';
  }

  /** What clients of a node that does not serve can expect. */
  #outlook(facts: Facts): string {
    if (facts.link) return ': the other node serves clients, if it is active';
    if (!facts.peerDead) {
      const is = this.#refused === null ? 'not known to be dead yet' : 'refused, but alive';
      return `: no connection to the peer, which is ${is}`;
    }
    return mayServeAlone(facts, this.#config.bstar.role === 'primary' ? 'primary' : 'backup')
      ? ', and the peer is dead: this node takes over at the next request of a client'
      : ', and the peer is dead: this node serves after promote, or when the peer is back';
  }

  /** What is degraded, whether clients are served or not. */
  get degraded(): readonly Reason[] {
    const pair = this.#node?.machine;
    if (pair === undefined) return [];
    const found: Reason[] = [];
    if (this.#refused !== null) found.push({ code: 'peer_refused', text: this.#refused });
    if (pair.cannotStore) {
      const text = `data from the peer cannot be stored: ${this.#unstored}`;
      found.push({ code: 'store_failed', text });
    }
    if (this.#node?.keysDiffer === true) found.push(reasonOf({ name: 'ha.keys_differ' }));
    const at = this.#node?.listenersThatDiffer ?? '';
    if (at !== '') found.push(reasonOf({ name: 'ha.listener_keys_differ', at }));
    if (pair.service === 'serving' && !pair.isInSync) {
      const text = pair.facts.link
        ? 'the peer is not in sync yet: only this node has the latest requests'
        : 'no connection to the peer: only this node serves';
      found.push({ code: 'not_in_sync', text });
    }
    return found;
  }
}

function order(reason: string | null | undefined): HaOrder {
  if (reason === null) return { done: true };
  return { done: false, reason: reason ?? 'this node is starting' };
}

/** What an event said stays the case. */
function reasonOf(event: PairEvent): Reason {
  return { code: event.name.replace('ha.', ''), text: textOf(PAIR_EVENTS[event.name], event) };
}
