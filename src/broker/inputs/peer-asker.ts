import type { MemoryAccount } from '../../core/holdings.js';
import { allows } from '../admission/access.js';
import type { OutputRoom } from '../options.js';
import type { Asker } from '../ports.js';
import type { Quotas } from '../quotas.js';
import type { Peer } from '../state/entities.js';

/** A connection, as internal services see it. */
export class PeerAsker implements Asker {
  readonly #peer: Peer;
  readonly #output: OutputRoom;

  constructor(peer: Peer, output: OutputRoom) {
    this.#peer = peer;
    this.#output = output;
  }

  get identity(): string {
    return this.#peer.identity.name;
  }

  get scope(): string {
    return `${this.#peer.listener} ${this.#peer.key ?? ''}`;
  }

  get owner(): string | null {
    return this.#peer.key;
  }

  get address(): string {
    return this.#peer.address;
  }

  get isOperator(): boolean {
    return this.#peer.grants.rights?.operator === true;
  }

  get isMmiMinimal(): boolean {
    return this.#peer.grants.rules.mmi === 'minimal';
  }

  get mayResume(): boolean {
    return this.#peer.grants.rules.resumes === true;
  }

  get quotas(): Quotas {
    return this.#peer.identity.quotas;
  }

  get memory(): MemoryAccount {
    return this.#peer.identity.memory;
  }

  get isGone(): boolean {
    return this.#peer.isGone || this.#peer.closing;
  }

  mayRequest(service: Buffer): boolean {
    return allows(this.#peer.grants, 'client', service);
  }

  mayServe(service: Buffer): boolean {
    return allows(this.#peer.grants, 'worker', service);
  }

  outputLeft(): number {
    if (this.isGone) return 0;
    return Math.min(this.#output.left(this.#peer.id), this.identityOutputLeft());
  }

  identityOutputLeft(): number {
    const { quotas, memory } = this.#peer.identity;
    return quotas.outputBytes - memory.output;
  }

  outputMax(): number {
    return Math.min(this.#output.max(), this.#peer.identity.quotas.outputBytes);
  }
}
