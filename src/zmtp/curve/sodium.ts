/**
 * libsodium in WebAssembly, loaded when CURVE is first used. Only this file uses the library.
 *
 * A box is put together from its parts as NaCl defines it (secretbox of XSalsa20 and Poly1305):
 * HSalsa20 derives a key from the first 16 bytes of the nonce, which all frames of one direction
 * share. The library's own box derives it again for each frame (`npm run bench:curve`).
 *
 * The compiled functions are called directly: the package's wrappers allocate in each call.
 */
import { timingSafeEqual } from 'node:crypto';

import { assert } from '../../core/assert.js';
import { copyBytes } from '../../core/bytes.js';
import { MajordomoError, messageOf } from '../../core/errors.js';
import { isMissing, loadInstalled } from '../installed.js';
import {
  type CurveCrypto,
  KEY_BYTES,
  type KeyPair,
  MAC_BYTES,
  NONCE_BYTES,
  type Verification,
} from './crypto.js';

const PACKAGE = 'libsodium-wrappers-sumo';

/** The libsodium functions used here, as compiled: they take addresses, and sizes in two halves. */
interface Compiled {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  _crypto_box_keypair(publicKey: number, secretKey: number): number;
  _crypto_scalarmult_base(publicKey: number, secretKey: number): number;
  _crypto_box_beforenm(shared: number, publicKey: number, secretKey: number): number;
  _crypto_core_hsalsa20(made: number, input: number, key: number, constants: number): number;
  _crypto_stream_salsa20_xor(
    target: number,
    source: number,
    size: number,
    sizeHigh: number,
    nonce: number,
    key: number,
  ): number;
  /** Like the one before, from the block with this number on. */
  _crypto_stream_salsa20_xor_ic(
    target: number,
    source: number,
    size: number,
    sizeHigh: number,
    nonce: number,
    block: number,
    blockHigh: number,
    key: number,
  ): number;
  readonly _crypto_onetimeauth_poly1305: OneTimeAuth;
  readonly _crypto_onetimeauth_poly1305_verify: OneTimeAuth;
  _crypto_onetimeauth_poly1305_statebytes(): number;
  _crypto_onetimeauth_poly1305_init(state: number, key: number): number;
  _crypto_onetimeauth_poly1305_update(
    state: number,
    source: number,
    size: number,
    sizeHigh: number,
  ): number;
  _crypto_onetimeauth_poly1305_final(state: number, mac: number): number;
}

/** Writes the MAC, or compares it: 0 if it is right. */
type OneTimeAuth = (
  mac: number,
  source: number,
  size: number,
  sizeHigh: number,
  key: number,
) => number;

const FUNCTIONS: readonly string[] = [
  '_malloc',
  '_free',
  '_crypto_box_keypair',
  '_crypto_scalarmult_base',
  '_crypto_box_beforenm',
  '_crypto_core_hsalsa20',
  '_crypto_stream_salsa20_xor',
  '_crypto_stream_salsa20_xor_ic',
  '_crypto_onetimeauth_poly1305',
  '_crypto_onetimeauth_poly1305_verify',
  '_crypto_onetimeauth_poly1305_statebytes',
  '_crypto_onetimeauth_poly1305_init',
  '_crypto_onetimeauth_poly1305_update',
  '_crypto_onetimeauth_poly1305_final',
];

/** The first part of a nonce goes into the frame key, the rest into the stream. */
const NONCE_COUNTER_AT = 16;
const NONCE_COUNTER_BYTES = NONCE_BYTES - NONCE_COUNTER_AT;
/** The stream's first bytes are the key of the MAC; the next ones are for the plain text. */
const MAC_KEY_BYTES = 32;
const BLOCK_BYTES = 64;

/** Frame key and nonce of one direction, in the library's memory. */
class Slot {
  readonly keyAt: number;
  readonly nonceAt: number;
  /** The buffer copied there last. */
  key: Buffer | null = null;

  constructor(at: number) {
    this.keyAt = at;
    this.nonceAt = at + KEY_BYTES;
  }
}

const SLOT_BYTES = KEY_BYTES + NONCE_COUNTER_BYTES;
/** Size of the room that is kept; a larger frame gets its own, which is freed afterwards. */
const ROOM_BYTES_RETAINED = 72 * 1024;

let loaded: Promise<CurveCrypto> | null = null;

/** @throws ERR_MDP_OPTION if the package is not installed, as beside a bundle */
export function checkSodium(): void {
  try {
    loadInstalled(PACKAGE);
  } catch (cause) {
    const text = isMissing(cause)
      ? `curve needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`
      : `curve cannot load the package ${PACKAGE}: ${messageOf(cause)}`;
    throw new MajordomoError('ERR_MDP_OPTION', text, { cause, details: { option: 'curve' } });
  }
}

/** @throws ERR_INTERNAL if the package is not the version that this was written for */
export function loadSodium(): Promise<CurveCrypto> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<CurveCrypto> {
  const library = loadInstalled(PACKAGE) as Readonly<Record<string, unknown>>;
  await library['ready'];
  // Undefined before the library is ready.
  const compiled = library['libsodium'];
  if (!isCompiled(compiled)) {
    throw new MajordomoError(
      'ERR_INTERNAL',
      'this libsodium-wrappers-sumo lacks functions that CURVE needs',
    );
  }
  return new Sodium(compiled);
}

function isCompiled(value: unknown): value is Compiled {
  if (typeof value !== 'object' || value === null) return false;
  const members: Readonly<Record<string, unknown>> = { ...value };
  return (
    ArrayBuffer.isView(members['HEAPU8']) &&
    FUNCTIONS.every((name) => typeof members[name] === 'function')
  );
}

class Sodium implements CurveCrypto {
  memory: Buffer;
  readonly #compiled: Compiled;
  readonly #sealing: Slot;
  readonly #opening: Slot;
  readonly #keys: readonly [number, number, number];
  /** Where one block is: the key of the MAC, and the beginning of the plain text of an opened frame. */
  readonly #block: number;
  readonly #fixedRoom: number;
  /** The state of a MAC that is made piece by piece; kept by each verification in between. */
  readonly #auth: number;
  readonly #authBytes: number;
  /** MAC_KEY_BYTES, in whose second half the MAC is put, and then the text. */
  #room: number;
  /** The room was allocated for one frame and must be freed after use. */
  #isLarge = false;

  constructor(compiled: Compiled) {
    this.#compiled = compiled;
    const keys = compiled._malloc(3 * KEY_BYTES);
    this.#keys = [keys, keys + KEY_BYTES, keys + 2 * KEY_BYTES];
    const slots = compiled._malloc(2 * SLOT_BYTES);
    this.#sealing = new Slot(slots);
    this.#opening = new Slot(slots + SLOT_BYTES);
    this.#block = compiled._malloc(BLOCK_BYTES);
    this.#fixedRoom = compiled._malloc(ROOM_BYTES_RETAINED);
    this.#room = this.#fixedRoom;
    this.#authBytes = compiled._crypto_onetimeauth_poly1305_statebytes();
    this.#auth = compiled._malloc(this.#authBytes);
    const rooms = [keys, slots, this.#block, this.#fixedRoom, this.#auth];
    const isWhole = rooms.every((address) => address > 0);
    assert(isWhole, 'libsodium has memory');
    this.memory = view(compiled);
  }

  keyPair(): KeyPair {
    const [publicKey, secretKey] = this.#keys;
    this.#compiled._crypto_box_keypair(publicKey, secretKey);
    const pair = { publicKey: this.#key(publicKey), secretKey: this.#key(secretKey) };
    this.#wipeKeys();
    return pair;
  }

  publicKeyOf(secret: Buffer): Buffer {
    const [publicKey, secretKey] = this.#keys;
    this.memory.set(secret, secretKey);
    this.#compiled._crypto_scalarmult_base(publicKey, secretKey);
    const made = this.#key(publicKey);
    this.#wipeKeys();
    return made;
  }

  sharedKey(theirs: Buffer, own: Buffer): Buffer | null {
    const [publicKey, secretKey, shared] = this.#keys;
    this.memory.set(theirs, publicKey);
    this.memory.set(own, secretKey);
    const failed = this.#compiled._crypto_box_beforenm(shared, publicKey, secretKey);
    const made = failed === 0 ? this.#key(shared) : null;
    this.#wipeKeys();
    return made;
  }

  frameKey(key: Buffer, nonce: Buffer): Buffer {
    const [keyAt, nonceAt, made] = this.#keys;
    this.memory.set(key, keyAt);
    this.memory.set(nonce.subarray(0, NONCE_COUNTER_AT), nonceAt);
    this.#compiled._crypto_core_hsalsa20(made, nonceAt, keyAt, 0);
    const frameKey = this.#key(made);
    this.#wipeKeys();
    return frameKey;
  }

  room(size: number): number {
    const room = this.#reserve(MAC_KEY_BYTES + size);
    assert(room > 0, `memory for a frame of ${size} bytes`);
    return room + MAC_KEY_BYTES;
  }

  seal(size: number, nonce: Buffer, frameKey: Buffer, target: Buffer, offset: number): void {
    const room = this.#room;
    const { keyAt, nonceAt } = this.#fill(this.#sealing, nonce, frameKey);
    const compiled = this.#compiled;
    this.#clear(room, MAC_KEY_BYTES);
    compiled._crypto_stream_salsa20_xor(room, room, MAC_KEY_BYTES + size, 0, nonceAt, keyAt);
    const text = room + MAC_KEY_BYTES;
    const mac = text - MAC_BYTES;
    compiled._crypto_onetimeauth_poly1305(mac, text, size, 0, room);
    copyBytes(this.memory, mac, text + size, target, offset);
    if (this.#isLarge) this.#release();
  }

  open(sealed: Buffer, start: number, end: number, nonce: Buffer, frameKey: Buffer): number {
    const size = end - start - MAC_BYTES;
    if (size < 0) return -1;
    const room = this.#reserve(MAC_KEY_BYTES + size);
    if (room === 0) return -1;
    const text = room + MAC_KEY_BYTES;
    const mac = text - MAC_BYTES;
    copyBytes(sealed, start, end, this.memory, mac);
    const { keyAt, nonceAt } = this.#fill(this.#opening, nonce, frameKey);
    const compiled = this.#compiled;
    // The first block apart: the sealed text is needed until its MAC is verified.
    const block = this.#block;
    const begun = block + MAC_KEY_BYTES;
    const first = Math.min(size, BLOCK_BYTES - MAC_KEY_BYTES);
    this.#clear(block, MAC_KEY_BYTES);
    copyBytes(this.memory, text, text + first, this.memory, begun);
    compiled._crypto_stream_salsa20_xor(block, block, MAC_KEY_BYTES + first, 0, nonceAt, keyAt);
    if (compiled._crypto_onetimeauth_poly1305_verify(mac, text, size, 0, block) !== 0) return -1;
    copyBytes(this.memory, begun, begun + first, this.memory, text);
    const rest = text + first;
    if (size > first) {
      const left = size - first;
      compiled._crypto_stream_salsa20_xor_ic(rest, rest, left, 0, nonceAt, 1, 0, keyAt);
    }
    // (The next call frees a large room: until then its bytes are read.)
    return text;
  }

  verify(sealed: Buffer, start: number, nonce: Buffer, frameKey: Buffer): Verification {
    const { keyAt, nonceAt } = this.#fill(this.#opening, nonce, frameKey);
    const compiled = this.#compiled;
    const block = this.#block;
    const begun = block + MAC_KEY_BYTES;
    const text = start + MAC_BYTES;
    this.#clear(block, MAC_KEY_BYTES);
    this.memory[begun] = sealed[text] ?? 0;
    compiled._crypto_stream_salsa20_xor(block, block, MAC_KEY_BYTES + 1, 0, nonceAt, keyAt);
    compiled._crypto_onetimeauth_poly1305_init(this.#auth, block);
    const mac = Buffer.from(sealed.subarray(start, text));
    const state = Buffer.from(this.memory.subarray(this.#auth, this.#auth + this.#authBytes));
    const first = this.memory[begun] ?? 0;
    this.#authenticate(state, sealed, text, text + 1);
    return {
      first,
      add: (bytes, from, until) => this.#authenticate(state, bytes, from, until),
      isGenuine: () => {
        this.memory.set(state, this.#auth);
        compiled._crypto_onetimeauth_poly1305_final(this.#auth, block);
        return timingSafeEqual(mac, this.memory.subarray(block, block + MAC_BYTES));
      },
    };
  }

  #authenticate(state: Buffer, bytes: Buffer, start: number, end: number): void {
    const { memory } = this;
    memory.set(state, this.#auth);
    for (let at = start; at < end; at += ROOM_BYTES_RETAINED) {
      const until = Math.min(at + ROOM_BYTES_RETAINED, end);
      copyBytes(bytes, at, until, memory, this.#fixedRoom);
      this.#compiled._crypto_onetimeauth_poly1305_update(
        this.#auth,
        this.#fixedRoom,
        until - at,
        0,
      );
    }
    memory.copy(state, 0, this.#auth, this.#auth + this.#authBytes);
  }

  /** The frames of a message have the same key. */
  #fill(slot: Slot, nonce: Buffer, frameKey: Buffer): Slot {
    copyBytes(nonce, NONCE_COUNTER_AT, NONCE_BYTES, this.memory, slot.nonceAt);
    if (slot.key !== frameKey) {
      copyBytes(frameKey, 0, KEY_BYTES, this.memory, slot.keyAt);
      slot.key = frameKey;
    }
    return slot;
  }

  #clear(at: number, bytes: number): void {
    const { memory } = this;
    for (let to = at; to < at + bytes; to++) memory[to] = 0;
  }

  #reserve(bytes: number): number {
    if (this.#isLarge) this.#release();
    if (bytes > ROOM_BYTES_RETAINED) {
      const room = this.#compiled._malloc(bytes);
      if (room === 0) return 0;
      this.#room = room;
      this.#isLarge = true;
      // The memory may have grown; it is then a different buffer.
      this.memory = view(this.#compiled);
    }
    return this.#room;
  }

  #release(): void {
    this.#compiled._free(this.#room);
    this.#room = this.#fixedRoom;
    this.#isLarge = false;
  }

  #key(address: number): Buffer {
    return Buffer.from(this.memory.subarray(address, address + KEY_BYTES));
  }

  #wipeKeys(): void {
    const [first] = this.#keys;
    this.memory.fill(0, first, first + 3 * KEY_BYTES);
  }
}

function view({ HEAPU8 }: Compiled): Buffer {
  return Buffer.from(HEAPU8.buffer, HEAPU8.byteOffset, HEAPU8.byteLength);
}
