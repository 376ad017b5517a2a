/**
 * Ends requests of single clients: if the client will not return, those that wait are dropped (D26); if it has
 * lost the right to send them, they are refused (D73). Those that it does not want any more end wherever they
 * are (D106). One that came back asks which are still here (D116).
 */
import { pack, packedBytes } from '../../core/packed.js';
import { Frames } from '../../core/frames.js';
import { allows } from '../admission/access.js';
import { RIGHT_WITHDRAWN } from '../admission/refusal.js';
import type { Client } from '../state/entities.js';
import {
  ARRIVED_AT,
  ENVELOPE_BYTES,
  NONE,
  OUT,
  QUEUED,
  type RequestId,
} from '../state/request-table.js';
import type { BrokerData } from './broker-data.js';
import type { RequestEnds } from './request-ends.js';
import { type Slice, Turns } from './turns.js';

/** A client with at most so many requests has those that it takes back looked for at once. */
const AT_ONCE_MAX = 256;
/** Maximum size of the envelope of a request that can be taken back: all others are longer than any real one. */
const ENVELOPE_BYTES_MAX = 2048;
/** Ids that a client may have looked for besides one for each of its requests. */
const SPARE_IDS = 100;
/** Memory of an envelope that is looked for, besides its bytes. */
const LOOKED_FOR_BYTES = 64;

/** Is told which requests are here, by their envelopes: packed, one character per byte. */
type Found = (here: ReadonlyMap<string, RequestId>) => void;

interface Scan {
  readonly client: Client;
  /** Requests not yet examined. */
  left: number;
  checksRights: boolean;
  dropsWaiting: boolean;
  /** When its client asked to end requests, by their envelopes: packed, one character per byte. */
  readonly cancelled: Map<string, number>;
  /** Envelopes that are looked for, and the requests that were found. */
  readonly soughtAfter: Map<string, RequestId>;
  readonly askers: Found[];
  /** Memory that these take. */
  bytes: number;
}

/** The scans of one client: each moves its requests, so they come one after the other. */
interface Scans {
  readonly running: Scan;
  /** What was asked for meanwhile. */
  next: Scan | null;
}

export class ClientScans {
  readonly #data: BrokerData;
  readonly #requestEnds: RequestEnds;
  readonly #turns = new Turns<Scan>();
  readonly #byClient = new Map<Client, Scans>();

  constructor(data: BrokerData, requestEnds: RequestEnds) {
    this.#data = data;
    this.#requestEnds = requestEnds;
  }

  departed(client: Client): void {
    this.#scan(client);
  }

  /** Drops the requests of a client that wait; those at workers go on. */
  dropWaiting(client: Client): void {
    this.#scan(client).dropsWaiting = true;
  }

  /** Whether requests of a client are at workers; with many, that is not looked at. */
  mayBeOut({ requests }: Client): boolean {
    if (requests.count > AT_ONCE_MAX) return true;
    for (let id = requests.head; id !== NONE; id = requests.next(id)) {
      if (this.#data.table.is(id, OUT)) return true;
    }
    return false;
  }

  rightsChanged(client: Client): void {
    this.#scan(client).checksRights = true;
  }

  /**
   * Ends requests that are here now.
   * @param envelope packed
   * @param ids each ends the envelope of one of them, which begins with `envelope`
   * @returns false if more are looked for than it has requests
   */
  cancel(client: Client, envelope: Buffer, ids: readonly Buffer[], now: number): boolean {
    const keys = ids
      .map((id) => keyOf(envelope, id))
      .filter(({ length }) => length <= ENVELOPE_BYTES_MAX);
    if (client.requests.count <= AT_ONCE_MAX) {
      this.#cancelNow(client, new Set(keys));
      return true;
    }
    const scans = this.#byClient.get(client);
    const lookedFor = (scans?.running.cancelled.size ?? 0) + (scans?.next?.cancelled.size ?? 0);
    if (lookedFor + keys.length > client.requests.count + SPARE_IDS) return false;
    const scan = this.#scan(client);
    for (const key of keys) {
      if (!scan.cancelled.has(key)) this.#account(scan, key.length + LOOKED_FOR_BYTES);
      scan.cancelled.set(key, now);
    }
    return true;
  }

  /**
   * Looks for requests that wait or are at workers.
   * @param keys their envelopes: packed, one character per byte
   * @param found called once, perhaps within this call
   * @returns false if there is no memory for that
   */
  lookFor(client: Client, keys: readonly string[], found: Found): boolean {
    const { requests } = client;
    if (requests.count <= AT_ONCE_MAX) {
      const sought = new Set(keys);
      const here = new Map<string, RequestId>();
      for (let id = requests.head; id !== NONE; id = requests.next(id)) {
        const key = this.#envelopeOf(id);
        if (key !== null && sought.has(key)) here.set(key, id);
      }
      found(here);
      return true;
    }
    const bytes = keys.reduce((sum, { length }) => sum + length + LOOKED_FOR_BYTES, 0);
    if (!client.identity.memory.mayHold(bytes)) return false;
    const scan = this.#scan(client);
    this.#account(scan, bytes);
    for (const key of keys) scan.soughtAfter.set(key, NONE);
    scan.askers.push((all) => {
      const here = keys.map((key) => [key, all.get(key) ?? NONE] as const);
      found(new Map(here.filter(([, id]) => id !== NONE)));
    });
    return true;
  }

  #cancelNow({ requests }: Client, keys: ReadonlySet<string>): void {
    for (let id = requests.head; id !== NONE;) {
      const next = requests.next(id);
      const key = this.#envelopeOf(id);
      if (key !== null && keys.has(key)) this.#requestEnds.cancel(id);
      id = next;
    }
  }

  /** @returns `null`: nobody can take this request back */
  #envelopeOf(id: RequestId): string | null {
    const { table, requests } = this.#data;
    if (!table.is(id, QUEUED | OUT)) return null;
    return table.get(id, ENVELOPE_BYTES) > ENVELOPE_BYTES_MAX ? null : requests.envelopeText(id);
  }

  /** The scan that has yet to begin, or a new one. */
  #scan(client: Client): Scan {
    const known = this.#byClient.get(client);
    const waiting = known?.next ?? null;
    if (waiting !== null) return waiting;
    const scan: Scan = {
      client,
      left: 0,
      checksRights: false,
      dropsWaiting: false,
      cancelled: new Map(),
      soughtAfter: new Map(),
      askers: [],
      bytes: 0,
    };
    if (known === undefined) this.#begin(scan);
    else known.next = scan;
    return scan;
  }

  #begin(scan: Scan): void {
    const { client } = scan;
    scan.left = client.requests.count;
    this.#byClient.set(client, { running: scan, next: null });
    this.#turns.add(client.identity, scan);
  }

  #account(scan: Scan, bytes: number): void {
    scan.bytes += bytes;
    scan.client.identity.memory.add('requests', bytes);
  }

  /**
   * @param budget maximum number of requests to examine
   * @returns false if there is more to do
   */
  run(budget: number): boolean {
    return this.#turns.run(budget, (scan, most) => this.#continue(scan, most));
  }

  #continue(scan: Scan, most: number): Slice {
    const { client } = scan;
    const { requests } = client;
    let done = 0;
    for (; done < most && scan.left > 0 && requests.head !== NONE; done++) {
      const id = requests.head;
      // Moves it to the back, so that the next turn continues with the requests not yet examined.
      requests.remove(id);
      requests.pushBack(id);
      this.#examine(id, scan);
      scan.left--;
    }
    const isLast = scan.left === 0 || requests.count === 0;
    if (isLast) this.#end(scan);
    return { done, isLast };
  }

  #end(scan: Scan): void {
    const { client } = scan;
    this.#account(scan, -scan.bytes);
    for (const ask of scan.askers) ask(scan.soughtAfter);
    const next = this.#byClient.get(client)?.next ?? null;
    this.#byClient.delete(client);
    if (next === null) this.#data.clients.forget(client);
    else this.#begin(next);
  }

  #examine(id: RequestId, scan: Scan): void {
    const { client, checksRights, dropsWaiting, cancelled, soughtAfter } = scan;
    const { requests, table } = this.#data;
    const key = cancelled.size + soughtAfter.size === 0 ? null : this.#envelopeOf(id);
    if (key !== null && soughtAfter.has(key)) soughtAfter.set(key, id);
    const askedAt = key === null ? undefined : cancelled.get(key);
    // A request of the same moment may have come later: it is left alone.
    if (askedAt !== undefined && table.getTime(id, ARRIVED_AT) < askedAt) {
      this.#requestEnds.cancel(id);
    } else if (!table.is(id, QUEUED)) {
      // Requests at workers continue.
    } else if (client.departed || (dropsWaiting && client.peer === null)) {
      this.#requestEnds.dropQueued(id);
    } else if (checksRights && !allows(client.grants, 'client', requests.serviceOf(id).name)) {
      this.#requestEnds.refuseQueued(id, RIGHT_WITHDRAWN);
    }
  }
}

/** @returns a packed envelope with one more frame, one character per byte */
export function keyOf(envelope: Buffer, id: Buffer): string {
  const last = Frames.of(id);
  const packed = Buffer.alloc(packedBytes(last, 0, 1));
  pack(last, 0, 1, packed, 0, true);
  return envelope.toString('latin1') + packed.toString('latin1');
}
