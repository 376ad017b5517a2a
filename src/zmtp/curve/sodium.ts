/**
 * libsodium in WebAssembly, loaded when CURVE is first used. Only this file uses the library.
 *
 * The package's JavaScript wrappers allocate three times per call. Calling the compiled functions
 * directly does not, and takes half the time for small frames.
 */
import { assert } from '../../core/assert.js';
import { copyBytes } from '../../core/bytes.js';
import { MajordomoError } from '../../core/errors.js';
import { type CurveCrypto, KEY_BYTES, type KeyPair, MAC_BYTES, NONCE_BYTES } from './crypto.js';

/** The libsodium functions used here, as compiled: they take addresses, and sizes in two halves. */
interface Compiled {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
  _crypto_box_keypair(publicKey: number, secretKey: number): number;
  _crypto_scalarmult_base(publicKey: number, secretKey: number): number;
  _crypto_box_beforenm(shared: number, publicKey: number, secretKey: number): number;
  _crypto_box_easy_afternm(
    sealed: number,
    plain: number,
    size: number,
    sizeHigh: number,
    nonce: number,
    key: number,
  ): number;
  _crypto_box_open_easy_afternm(
    plain: number,
    sealed: number,
    size: number,
    sizeHigh: number,
    nonce: number,
    key: number,
  ): number;
}

const FUNCTIONS: readonly string[] = [
  '_malloc',
  '_free',
  '_crypto_box_keypair',
  '_crypto_scalarmult_base',
  '_crypto_box_beforenm',
  '_crypto_box_easy_afternm',
  '_crypto_box_open_easy_afternm',
];

/** Offset of the part of a nonce that changes. */
const NONCE_COUNTER_AT = 16;

/** Key and nonce of one direction, in the library's memory. */
class Slot {
  readonly keyAt: number;
  readonly nonceAt: number;
  /** The buffers copied there last. */
  key: Buffer | null = null;
  nonce: Buffer | null = null;

  constructor(at: number) {
    this.keyAt = at;
    this.nonceAt = at + KEY_BYTES;
  }
}

/** Size of the room that is kept; a larger frame gets its own, which is freed afterwards. */
const ROOM_BYTES_KEPT = 72 * 1024;

let loaded: Promise<CurveCrypto> | null = null;

/** @throws ERR_INTERNAL if the package is not the version that this was written for */
export function loadSodium(): Promise<CurveCrypto> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<CurveCrypto> {
  const library: Readonly<Record<string, unknown>> = await import('libsodium-wrappers');
  await library['ready'];
  // Undefined before the library is ready.
  const compiled = library['libsodium'];
  if (!isCompiled(compiled)) {
    throw new MajordomoError(
      'ERR_INTERNAL',
      'this libsodium-wrappers lacks functions that CURVE needs',
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
  readonly #kept: number;
  #room: number;
  /** The room was allocated for one frame and must be freed after use. */
  #isLarge = false;

  constructor(compiled: Compiled) {
    this.#compiled = compiled;
    const keys = compiled._malloc(3 * KEY_BYTES);
    this.#keys = [keys, keys + KEY_BYTES, keys + 2 * KEY_BYTES];
    const slots = compiled._malloc(2 * (KEY_BYTES + NONCE_BYTES));
    this.#sealing = new Slot(slots);
    this.#opening = new Slot(slots + KEY_BYTES + NONCE_BYTES);
    this.#kept = compiled._malloc(ROOM_BYTES_KEPT);
    this.#room = this.#kept;
    assert(keys > 0 && slots > 0 && this.#kept > 0, 'libsodium has memory');
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

  room(size: number): number {
    // In place: the plain text goes where an opened frame's is, after the MAC.
    const room = this.#reserve(size + MAC_BYTES);
    assert(room > 0, `memory for a frame of ${size} bytes`);
    return room + MAC_BYTES;
  }

  seal(size: number, nonce: Buffer, key: Buffer, target: Buffer, offset: number): void {
    const room = this.#room;
    const slot = this.#sealing;
    this.#fill(slot, nonce, key);
    const compiled = this.#compiled;
    compiled._crypto_box_easy_afternm(room, room + MAC_BYTES, size, 0, slot.nonceAt, slot.keyAt);
    copyBytes(this.memory, room, room + MAC_BYTES + size, target, offset);
    if (this.#isLarge) this.#release();
  }

  open(sealed: Buffer, start: number, end: number, nonce: Buffer, key: Buffer): number {
    const size = end - start;
    if (size < MAC_BYTES) return -1;
    const room = this.#reserve(size);
    if (room === 0) return -1;
    const slot = this.#opening;
    copyBytes(sealed, start, end, this.memory, room);
    this.#fill(slot, nonce, key);
    const plain = room + MAC_BYTES;
    const compiled = this.#compiled;
    const failed = compiled._crypto_box_open_easy_afternm(
      plain,
      room,
      size,
      0,
      slot.nonceAt,
      slot.keyAt,
    );
    // (The next call frees a large room: until then its bytes are read.)
    return failed === 0 ? plain : -1;
  }

  /**
   * The frames of a message have the same key, and the same nonce except for its counter: copying
   * only the counter makes sealing a small frame a fifth cheaper.
   */
  #fill(slot: Slot, nonce: Buffer, key: Buffer): void {
    const isNew = slot.key !== key || slot.nonce !== nonce;
    const from = isNew ? 0 : NONCE_COUNTER_AT;
    copyBytes(nonce, from, NONCE_BYTES, this.memory, slot.nonceAt + from);
    if (!isNew) return;
    copyBytes(key, 0, KEY_BYTES, this.memory, slot.keyAt);
    slot.key = key;
    slot.nonce = nonce;
  }

  #reserve(bytes: number): number {
    if (this.#isLarge) this.#release();
    if (bytes > ROOM_BYTES_KEPT) {
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
    this.#room = this.#kept;
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
