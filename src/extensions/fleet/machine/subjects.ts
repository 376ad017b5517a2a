/** The subjects on the bus. No name of a service or a fleet is in them, only digests. */
import { FLEET_ID_BYTES } from './protocol.js';

/** Bytes of the digest of a service's name. */
const SERVICE_BYTES = 16;

/** SHA-256. */
export type Digest = (bytes: Buffer) => Buffer;

/** The digest of the name of a fleet, which is in each pack. */
export function fleetDigest(fleet: string, digest: Digest): Buffer {
  return digest(Buffer.from(`fleet ${fleet}`)).subarray(0, FLEET_ID_BYTES);
}

export class Subjects {
  /** All brokers say on it that they are there. */
  readonly presence: string;
  /** Hints about stored requests. */
  readonly hints: string;
  readonly #prefix: string;
  readonly #digest: Digest;

  /** @param fleet the digest of its name */
  constructor(fleet: Buffer, digest: Digest) {
    this.#digest = digest;
    this.#prefix = `mdp1.${fleet.toString('hex')}`;
    this.presence = `${this.#prefix}.presence`;
    this.hints = `${this.#prefix}.hints`;
  }

  /** Packs for one broker. @param id in hexadecimal */
  direct(id: string): string {
    return `${this.#prefix}.to.${id}`;
  }

  /** The offers of one broker. */
  offers(id: string): string {
    return `${this.#prefix}.offers.${id}`;
  }

  /** WANT for a service: those that have workers for it listen. */
  want(service: Buffer): string {
    return `${this.#prefix}.want.${this.#digest(service).toString('hex', 0, SERVICE_BYTES)}`;
  }
}
