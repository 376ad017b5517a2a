/**
 * A node's half of 12/CHP: what it reads of clients, and the frames that it sends them. Any input is
 * accepted.
 */
import { Frames } from '../core/frames.js';
import {
  HUGZ,
  ICANHAZ,
  KEY,
  MAP_KEY_BYTES_MAX,
  keyProblem,
  KTHXBAI,
  NUMBER_BYTES,
  PROPERTIES,
  PROPERTIES_BYTES_MAX,
  readProperties,
  RECORD_FRAMES,
  subtreeProblem,
  UUID,
  UUID_BYTES,
  UUID_RULE,
  uuidOf,
  VALUE,
  writeNumber,
} from './chp-client.js';
import { STORED_BYTES_MAX } from './tsp.js';

interface MalformedMapMessage {
  readonly kind: 'malformed';
  readonly reason: string;
}

/** A KVSET; its frames are at KEY, UUID, PROPERTIES and VALUE of chp-client.ts. */
interface KvSet {
  readonly kind: 'kvset';
  /** Seconds; 0: none. */
  readonly ttlS: number;
}

/** An ICANHAZ. */
interface IcanHaz {
  readonly kind: 'icanhaz';
  /** The subtree asked for, as Latin-1; empty: the whole map. */
  readonly subtree: string;
}

export function readKvSet(frames: Frames): KvSet | MalformedMapMessage {
  if (frames.count !== RECORD_FRAMES) return malformed('a KVSET has five frames');
  const problem = keyProblem(frames.view(KEY));
  if (problem !== null) return malformed(problem);
  if (uuidOf(frames) === null) return malformed(UUID_RULE);
  if (frames.size(VALUE) > STORED_BYTES_MAX) {
    return malformed(`a value has at most ${STORED_BYTES_MAX} bytes`);
  }
  if (frames.size(PROPERTIES) === 0) return WITHOUT_TTL;
  if (frames.size(PROPERTIES) > PROPERTIES_BYTES_MAX) {
    return malformed('properties have at most 4096 bytes');
  }
  const ttl = readProperties(frames.view(PROPERTIES).toString('latin1'));
  return typeof ttl === 'string' ? malformed(ttl) : { kind: 'kvset', ttlS: ttl };
}

export function readIcanHaz(frames: Frames): IcanHaz | MalformedMapMessage {
  if (frames.count !== 2 || !frames.equals(0, ICANHAZ)) {
    return malformed('not ICANHAZ? and a subtree');
  }
  const subtree = frames.view(1);
  const problem = subtreeProblem(subtree);
  if (problem !== null) return malformed(problem);
  return { kind: 'icanhaz', subtree: subtree.toString('latin1') };
}

/** True if a subscription to this topic receives HUGZ (D52). */
export function coversHugz(topic: Uint8Array): boolean {
  return HUGZ.subarray(0, topic.length).equals(topic);
}

const WITHOUT_TTL: KvSet = { kind: 'kvset', ttlS: 0 };

function malformed(reason: string): MalformedMapMessage {
  return { kind: 'malformed', reason };
}

const NUMBER_AT = 0;
const UUID_AT = NUMBER_AT + NUMBER_BYTES;
const KEY_AT = UUID_AT + UUID_BYTES;
const PROPERTIES_AT = KEY_AT + MAP_KEY_BYTES_MAX;
const VALUE_AT = PROPERTIES_AT + PROPERTIES_BYTES_MAX;

/**
 * Makes the messages of a node, in one `Frames` that is used again: each is valid until the next.
 * Text is Latin-1, one character a byte.
 */
export class RecordFrames {
  readonly #frames = new Frames();
  /** Memory for the parts that are text. */
  readonly #scratch: Buffer;

  /** @param textBytesMax of the longest value that is text */
  constructor(textBytesMax: number) {
    this.#scratch = Buffer.alloc(VALUE_AT + textBytesMax);
  }

  /** KVPUB, or, without uuid and properties, KVSYNC. */
  record(
    key: string,
    epoch: number,
    counter: number,
    uuid: string,
    properties: string,
    value: Buffer | string,
  ): Frames {
    const frames = this.#begin(epoch, counter);
    this.#text(KEY_AT, key);
    this.#number();
    this.#text(UUID_AT, uuid);
    this.#text(PROPERTIES_AT, properties);
    if (typeof value === 'string') this.#text(VALUE_AT, value);
    else frames.push(value, 0, value.length);
    return frames;
  }

  kthxbai(epoch: number, counter: number, subtree: string): Frames {
    const frames = this.#begin(epoch, counter);
    frames.push(KTHXBAI, 0, KTHXBAI.length);
    this.#number();
    frames.push(this.#scratch, 0, 0);
    frames.push(this.#scratch, 0, 0);
    this.#text(KEY_AT, subtree);
    return frames;
  }

  /** A HUGZ, whose number is zero (D52). */
  hugz(): Frames {
    const frames = this.#begin(0, 0);
    frames.push(HUGZ, 0, HUGZ.length);
    this.#number();
    for (let index = UUID; index < RECORD_FRAMES; index++) frames.push(this.#scratch, 0, 0);
    return frames;
  }

  #begin(epoch: number, counter: number): Frames {
    this.#frames.clear();
    writeNumber(this.#scratch, NUMBER_AT, epoch, counter);
    return this.#frames;
  }

  #number(): void {
    this.#frames.push(this.#scratch, NUMBER_AT, NUMBER_AT + NUMBER_BYTES);
  }

  #text(at: number, text: string): void {
    if (text !== '') this.#scratch.write(text, at, 'latin1');
    this.#frames.push(this.#scratch, at, at + text.length);
  }
}
