/**
 * Three hosts on one switch: the two nodes of a pair in network namespaces, and this machine, where
 * clients and workers are. Cables can be unplugged and packets dropped. It needs root.
 *
 * For `afterEach`: `removeHosts`. It removes everything; names and addresses are unique to this
 * process, so that several can run at once.
 */
import { execFileSync } from 'node:child_process';

import type { PairHosts, PairRole } from './pair-daemons.js';

/** Addresses reserved for benchmarks (RFC 2544), eight per switch. */
const NET_FIRST = 198;
const NET_SECOND = 18;
const PREFIX_BITS = 29;
const NETS = 256 * 32;

const AT = { this: 1, primary: 2, backup: 3 } as const;
type Place = keyof typeof AT;

const open: Hosts[] = [];
let made = 0;

export class Hosts implements PairHosts {
  readonly #name: string;
  #net: number;

  private constructor() {
    this.#name = `mdp${process.pid.toString(36)}${(made++).toString(36)}`;
    this.#net = (process.pid * 16 + made) % NETS;
    while (this.#isTaken()) this.#net = (this.#net + 1) % NETS;
  }

  static connect(): Hosts {
    const hosts = new Hosts();
    open.push(hosts);
    hosts.#build();
    return hosts;
  }

  readonly addressOf = (place: Place): string => {
    const last = (this.#net % 32) * 8 + AT[place];
    return `${NET_FIRST}.${NET_SECOND}.${Math.floor(this.#net / 32)}.${last}`;
  };

  readonly netnsOf = (role: PairRole): string => `${this.#name}-${role}`;

  /** Blocks only the path between the two nodes; all others reach both. */
  parts(): void {
    for (const role of ['primary', 'backup'] as const) this.#port(role, 'isolated', 'on');
  }

  /** Unplugs the cable of a node. */
  unplugs(role: PairRole): void {
    ip('-n', this.#switch, 'link', 'set', portOf(role), 'down');
  }

  /** Drops packets from the node to the other one; the opposite direction works. */
  mutes(role: PairRole): void {
    const other = this.addressOf(role === 'primary' ? 'backup' : 'primary');
    ip('-n', this.netnsOf(role), 'route', 'replace', 'blackhole', `${other}/32`);
  }

  /** Restores everything. */
  heals(): void {
    for (const role of ['primary', 'backup'] as const) {
      this.#port(role, 'isolated', 'off');
      ip('-n', this.#switch, 'link', 'set', portOf(role), 'up');
      ip('-n', this.netnsOf(role), 'route', 'flush', 'type', 'blackhole');
    }
  }

  remove(): void {
    // Deleting a namespace deletes its interfaces and their other ends.
    for (const netns of [this.#switch, this.netnsOf('primary'), this.netnsOf('backup')]) {
      quietly('netns', 'delete', netns);
    }
    quietly('link', 'delete', this.#name);
  }

  get #switch(): string {
    return `${this.#name}-switch`;
  }

  /** Used by a switch of another process. */
  #isTaken(): boolean {
    const net = `${this.addressOf('this')}/${PREFIX_BITS}`;
    return execFileSync('ip', ['-oneline', 'address', 'show', 'to', net]).length > 0;
  }

  #build(): void {
    ip('netns', 'add', this.#switch);
    ip('-n', this.#switch, 'link', 'add', 'name', 'bridge', 'type', 'bridge');
    ip('-n', this.#switch, 'link', 'set', 'bridge', 'up');
    for (const role of ['primary', 'backup'] as const) {
      const netns = this.netnsOf(role);
      ip('netns', 'add', netns);
      ip('-n', netns, 'link', 'set', 'lo', 'up');
      ip('-n', netns, 'link', 'add', 'name', 'eth0', 'type', 'veth', 'peer', 'name', portOf(role));
      ip('-n', netns, 'link', 'set', portOf(role), 'netns', this.#switch);
      ip('-n', netns, 'address', 'add', `${this.addressOf(role)}/${PREFIX_BITS}`, 'dev', 'eth0');
      ip('-n', netns, 'link', 'set', 'eth0', 'up');
      this.#plugIn(portOf(role));
    }
    ip(
      'link',
      'add',
      'name',
      this.#name,
      'type',
      'veth',
      'peer',
      'name',
      'this',
      'netns',
      this.#switch,
    );
    ip('address', 'add', `${this.addressOf('this')}/${PREFIX_BITS}`, 'dev', this.#name);
    ip('link', 'set', this.#name, 'up');
    this.#plugIn('this');
  }

  #plugIn(port: string): void {
    ip('-n', this.#switch, 'link', 'set', port, 'master', 'bridge');
    ip('-n', this.#switch, 'link', 'set', port, 'up');
  }

  #port(role: PairRole, setting: string, value: string): void {
    const set = ['link', 'set', portOf(role), 'type', 'bridge_slave', setting, value];
    ip('-n', this.#switch, ...set);
  }
}

function portOf(role: PairRole): string {
  return `to-${role}`;
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // It was removed with another one, or never made.
  }
}

export function removeHosts(): void {
  for (const hosts of open.splice(0)) hosts.remove();
}
