/** Another broker of the fleet, as this one knows it: its holders, and what is out at them. */
import { ownCopy } from '../../../core/bytes.js';
import type { FleetChannel } from './protocol.js';
import type { FleetCredit } from './codec.js';
import { UNANSWERED_BYTES_MAX } from './options.js';
import { Outbox } from './outbox.js';
import { PackNumbers } from './pack-numbers.js';

/** A pack of which the first bytes have come. */
interface ChunkedPack {
  readonly bytes: Buffer;
  /** How many of them are there. */
  filled: number;
  /** The number of the chunk that must follow. */
  next: number;
}

/** A request that is out at another broker. */
export interface Outstanding {
  readonly token: number;
  /** The broker machine's token. */
  readonly brokerToken: Buffer;
  readonly holder: Holder;
  readonly bytes: number;
  /** The number of the pack that it is in; 0: it was not sent yet. */
  packNumber: number;
  /** Lists in a row that it was absent from. */
  missed: number;
  /** PARTIALs that came. */
  parts: number;
}

export class FleetPeer {
  /** The id of the broker, in hexadecimal. */
  readonly id: string;
  readonly idBytes: Buffer;
  /** The node's name, as the broker says; empty before its first presence. */
  node = '';
  version = '';
  /** The digest of the broker's keys files. */
  keys: Buffer | null = null;
  /** The broker takes requests that may run once (D117), as it says. */
  takesOnce = false;
  /** The broker has said that it leaves: it gets no more requests. */
  isLeaving = false;
  /** When anything last came from it, in monotonic milliseconds. */
  heardAt: number;
  /** The broker was reported as lost, and has not been heard since. */
  isLost = false;
  /** The broker was heard since the bus is there: until then it may not listen yet. */
  isHeard = true;
  readonly outbox: Outbox = new Outbox();
  /** The broker is to be told which of its requests are held here. */
  isListDue = false;
  /** The numbers of the packs that came from it. */
  readonly numbers: Readonly<Record<FleetChannel, PackNumbers>> = {
    direct: new PackNumbers(),
    offer: new PackNumbers(),
    want: new PackNumbers(),
    presence: new PackNumbers(),
    hint: new PackNumbers(),
  };
  /** The highest number of a pack of this broker that the other one has had. */
  seenByIt = 0;
  /** A pack of which some chunks have come. */
  chunks: ChunkedPack | null = null;

  // ---- as a holder of this broker's requests

  /** Holders by service, one character per byte. */
  readonly holders: Map<string, Holder> = new Map();
  /** Requests that are out at the broker. */
  readonly outstanding: Set<Outstanding> = new Set();
  /** Their bytes. */
  unanswered = 0;
  /** Requests whose answer nobody wants, by the broker machine's token, until the holder is told. */
  readonly cancelled: Set<string> = new Set();
  /** When its last list came, or when it got the first request after none. */
  listedAt = 0;

  // ---- as an origin of requests that are held here

  /** The tokens of its requests that are at workers here. */
  readonly held: Map<number, number> = new Map();
  /** Until when the broker wants lists. */
  asksUntil = -Infinity;

  /** The time of the present input, in monotonic milliseconds. */
  readonly now: () => number;

  /** Brokers to whom something is to be sent. */
  readonly #unsent: Set<FleetPeer>;
  readonly #isBusShut: () => boolean;

  /** @param isBusShut whether nothing can be sent at the end of this turn */
  constructor(
    idBytes: Buffer,
    now: () => number,
    unsent: Set<FleetPeer>,
    isBusShut: () => boolean,
  ) {
    this.#unsent = unsent;
    this.#isBusShut = isBusShut;
    this.idBytes = ownCopy(idBytes);
    this.id = this.idBytes.toString('hex');
    this.now = now;
    this.heardAt = now();
  }

  /**
   * Adds an entry to what is sent to it at the end of the turn.
   * @param out the request that it is
   * @param service the one whose credit it states
   */
  post(entry: Buffer, out: Outstanding | null = null, service: Buffer | null = null): void {
    const waits = !this.isHeard || this.#isBusShut();
    if (this.outbox.add(entry, out, service, waits)) this.#unsent.add(this);
  }

  /** Sends the list of what is held here of its requests, as it is at the end of the turn. */
  list(): void {
    this.isListDue = true;
    this.#unsent.add(this);
  }
}

/** The workers of another broker for one service. */
export class Holder {
  readonly peer: FleetPeer;
  /** The name of the service, one character per byte. */
  readonly service: string;
  /** The name of the service, in bytes. */
  readonly name: Buffer;
  /** The number of the holder in the broker machine. */
  holderNumber = 0;
  /** What the holder has room for, in bytes. */
  bytes: number = UNANSWERED_BYTES_MAX;
  free = 0;
  total = 0;
  /** Requests that are out. */
  outCount = 0;
  usedAt = -Infinity;
  /** Whether nothing is sent to the holder until it states its credit again. */
  isPaused = false;
  /** Requests that the holder may not have known of when it last stated its credit; in order. */
  #unseen: Outstanding[] = [];
  #stated = 0;

  constructor(peer: FleetPeer, service: string) {
    this.peer = peer;
    this.service = service;
    this.name = ownCopy(Buffer.from(service, 'latin1'));
  }

  get load(): number {
    return this.total === 0 ? 1 : 1 - this.free / this.total;
  }

  takes(bytes: number, isOnce: boolean): boolean {
    const { unanswered, takesOnce } = this.peer;
    if (isOnce && !takesOnce) return false;
    if (unanswered === 0) return true;
    return bytes <= this.bytes && unanswered + bytes <= UNANSWERED_BYTES_MAX;
  }

  /** The holder has stated what it can take. */
  credited({ free, total }: FleetCredit): void {
    const { seenByIt } = this.peer;
    const unseen = this.#unseen;
    let seen = 0;
    for (const { packNumber } of unseen) {
      if (packNumber === 0 || packNumber > seenByIt) break;
      seen++;
    }
    if (seen > 0) this.#unseen = unseen.slice(seen);
    this.#stated = free;
    this.total = total;
    this.#count();
  }

  sent(out: Outstanding): void {
    this.outCount++;
    this.#unseen.push(out);
    this.#count();
  }

  ended(): void {
    this.outCount--;
  }

  /** The holder does not have the request, and did not count it. */
  forget(out: Outstanding): void {
    this.#unseen = this.#unseen.filter((each) => each !== out);
    this.#count();
  }

  #count(): void {
    this.free = Math.max(0, this.#stated - this.#unseen.length);
  }
}
