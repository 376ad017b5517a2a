/**
 * The contracts that the workers of one service announced (D107). Equal ones are kept once, as the bytes
 * that came, and counted in the memory of the identity whose worker has announced it for longest.
 */
import { ownCopy } from '../../core/bytes.js';
import type { MemoryAccount } from '../../core/holdings.js';
import type { Identity } from './identities.js';

/** Maximum number of different contracts that are kept of a service. */
const KEPT_MAX = 8;
/** Maximum number of workers of a contract that are named. */
const NAMED_MAX = 10;

/** A worker, as far as it concerns what it announced. */
interface Announcer {
  readonly name: string | null;
  readonly peer: { readonly identity: Identity };
}

/** A contract, and the workers that announced it. */
class KeptContract {
  readonly bytes: Buffer;
  readonly workers: Set<Announcer> = new Set();
  #payer: MemoryAccount | null = null;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Has the account pay that is due to. */
  charge(): void {
    const [oldest] = this.workers;
    const payer = oldest?.peer.identity.memory ?? null;
    if (payer === this.#payer) return;
    payer?.add('contracts', this.bytes.length);
    this.#payer?.add('contracts', -this.bytes.length);
    this.#payer = payer;
  }

  /** JSON: the contract, how many workers have it, and the names of some. */
  get json(): Buffer {
    const names: string[] = [];
    for (const { name } of this.workers) {
      if (names.length === NAMED_MAX) break;
      if (name !== null) names.push(name);
    }
    const facts = `{"workers":${this.workers.size},"names":${JSON.stringify(names)},"contract":`;
    return Buffer.concat([Buffer.from(facts), this.bytes, Buffer.from('}')]);
  }
}

export class ServiceContracts {
  /** In the order in which they came. */
  #kept: KeptContract[] = [];
  /** Workers whose contract is not kept. */
  readonly #others = new Set<Announcer>();

  get count(): number {
    return this.#kept.length;
  }

  get isEmpty(): boolean {
    return this.#kept.length + this.#others.size === 0;
  }

  isKnown(frame: Buffer): boolean {
    return this.#kept.some(({ bytes }) => bytes.equals(frame));
  }

  /** @param frame copied @returns false: it is counted, but not kept */
  add(worker: Announcer, frame: Buffer): boolean {
    let contract = this.#kept.find(({ bytes }) => bytes.equals(frame));
    if (contract === undefined) {
      const { memory } = worker.peer.identity;
      if (this.#kept.length >= KEPT_MAX || !memory.mayHold(frame.length)) {
        this.#others.add(worker);
        return false;
      }
      contract = new KeptContract(ownCopy(frame));
      this.#kept.push(contract);
    }
    contract.workers.add(worker);
    contract.charge();
    return true;
  }

  remove(worker: Announcer): void {
    if (this.#others.delete(worker)) return;
    for (const contract of this.#kept) {
      if (!contract.workers.delete(worker)) continue;
      contract.charge();
      if (contract.workers.size === 0) this.#kept = this.#kept.filter((each) => each !== contract);
      return;
    }
  }

  /**
   * The answer of `mmi.contract`.
   * @param workers of the service, in all
   */
  json(service: string, workers: number): Buffer {
    const described = this.#kept.reduce((sum, contract) => sum + contract.workers.size, 0);
    const others = this.#others.size;
    const facts = { service, workersWithout: workers - described - others, workersNotKept: others };
    const pieces: Buffer[] = [Buffer.from(`${JSON.stringify(facts).slice(0, -1)},"contracts":[`)];
    for (const [index, { json }] of this.#kept.entries()) {
      if (index > 0) pieces.push(Buffer.from(','));
      pieces.push(json);
    }
    return Buffer.concat([...pieces, Buffer.from(']}')]);
  }
}
