/**
 * The server's side of CURVE (25/ZMTP-CURVE, 26/CurveZMQ): identifies its clients by their keys.
 *
 * Between WELCOME and INITIATE a connection keeps only the nonce of its cookie: everything else is
 * in the cookie, which the client sends back.
 */
import { timingSafeEqual } from 'node:crypto';

import { ownCopy } from '../../core/bytes.js';
import type { RandomFill } from '../../core/random.js';
import {
  BROKEN,
  metadata,
  metadataFault,
  readMetadata,
  type SocketType,
} from '../connection/commands.js';
import type {
  FrameCipher,
  HandshakeFailure,
  HandshakeStep,
  Mechanism,
} from '../connection/mechanism.js';
import { CurveCipher } from './cipher.js';
import { type CurveCrypto, KEY_BYTES, type KeyPair, wipe } from './crypto.js';
import * as layout from './layout.js';
import { openBox, sealBox } from './box.js';

/** The decision on a client's key. */
export type Verdict =
  /** The key is allowed, under this name. */
  | { readonly kind: 'allowed'; readonly name: string }
  /** The key is refused, and trying again will not help. */
  | { readonly kind: 'refused' }
  /** The key cannot be checked now. `why`: for people. */
  | { readonly kind: 'unavailable'; readonly why: string };

/** @param address where the client comes from, for people; '' if unknown */
export type Authorise = (publicKey: Buffer, address: string) => Verdict;

interface CurveServerOptions {
  readonly crypto: CurveCrypto;
  /**
   * The server's keys, 32 bytes each: clients may know it by any of them, so that one can replace
   * another. A HELLO is tried with one after the other, so two should be enough.
   */
  readonly secretKeys: readonly Buffer[];
  readonly authorise: Authorise;
  readonly random: RandomFill;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

/** A cookie is valid for at least one and at most two of these periods. */
const COOKIE_KEY_MS = 60_000;
const NO_IDENTITY: Buffer = Buffer.alloc(0);
const NO_KEY: Buffer = Buffer.alloc(KEY_BYTES);
/** Why a key is refused, for people. */
export const NOT_KNOWN = 'its key is not in the keys file';
const REFUSED = Buffer.concat([layout.ERROR_NAME, Buffer.from('\x03400', 'latin1')]);
/** The name and version (1.0) of the command. */
const HELLO_HEAD = Buffer.concat([layout.HELLO_NAME, Buffer.from([1, 0])]);

/** State that all connections of one listener share. */
export class CurveServer {
  readonly crypto: CurveCrypto;
  keys: readonly KeyPair[] = [];
  readonly authorise: Authorise;
  readonly random: RandomFill;
  readonly #clock: () => number;
  #cookieKey: Buffer = Buffer.alloc(KEY_BYTES);
  #lastCookieKey: Buffer = Buffer.alloc(KEY_BYTES);
  #rotatedAt = -Infinity;

  constructor(options: CurveServerOptions) {
    this.crypto = options.crypto;
    this.setSecretKeys(options.secretKeys);
    this.authorise = options.authorise;
    this.random = options.random;
    this.#clock = options.clock;
  }

  /** Replaces the keys for new connections. */
  setSecretKeys(secretKeys: readonly Buffer[]): void {
    this.keys = secretKeys.map((secretKey) => ({
      secretKey,
      publicKey: this.crypto.publicKeyOf(secretKey),
    }));
  }

  /**
   * The mechanism of one connection.
   * @param address as for `Authorise`
   * @param identity the routing id of this side
   */
  mechanism(socketType: SocketType, address = '', identity: Buffer = NO_IDENTITY): Mechanism {
    return new CurveServerMechanism(this, socketType, address, identity);
  }

  /** The keys of cookies: the one for new cookies first. */
  cookieKeys(): readonly [Buffer, Buffer] {
    const now = this.#clock();
    if (now - this.#rotatedAt >= COOKIE_KEY_MS) {
      const isStale = now - this.#rotatedAt >= 2 * COOKIE_KEY_MS;
      const next = this.#lastCookieKey;
      this.#lastCookieKey = this.#cookieKey;
      this.#cookieKey = next;
      this.random(next);
      if (isStale) this.random(this.#lastCookieKey);
      this.#rotatedAt = now;
    }
    return [this.#cookieKey, this.#lastCookieKey];
  }
}

type State = 'hello' | 'initiate' | 'over';

class CurveServerMechanism implements Mechanism {
  readonly name = 'CURVE';
  readonly asServer = true;
  peerKey: Buffer | null = null;
  readonly plain = null;
  readonly #server: CurveServer;
  readonly #socketType: SocketType;
  readonly #address: string;
  readonly #identity: Buffer;
  #state: State = 'hello';
  /** The key by which the client knows this server: set by its HELLO. */
  #publicKey: Buffer = NO_KEY;
  /** Ties an INITIATE to this connection, so that it cannot be replayed on another. */
  #cookieNonce: Buffer | null = null;
  #cipher: CurveCipher | null = null;

  constructor(server: CurveServer, socketType: SocketType, address: string, identity: Buffer) {
    this.#server = server;
    this.#socketType = socketType;
    this.#address = address;
    this.#identity = identity;
  }

  begin(): null {
    return null;
  }

  /**
   * A HELLO of the right form, since answering it takes key computations. (INITIATE requires a
   * HELLO.)
   */
  isCostly(body: Buffer): boolean {
    return this.#state === 'hello' && helloFault(body) === null;
  }

  step(body: Buffer): HandshakeStep {
    const state = this.#state;
    this.#state = 'over';
    if (state === 'hello') return this.#hello(body);
    if (state === 'initiate') return this.#initiate(body);
    return failed('a command after the end of the handshake');
  }

  cipher(): FrameCipher | null {
    const made = this.#cipher;
    this.#cipher = null;
    return made;
  }

  close(): void {
    this.#cipher?.close();
    this.#cipher = null;
  }

  /** HELLO → WELCOME. The answer is smaller, so it cannot be used for amplification. */
  #hello(body: Buffer): HandshakeStep {
    const fault = helloFault(body);
    if (fault !== null) return failed(fault);
    const clientKey = body.subarray(layout.HELLO_KEY_AT, layout.HELLO_NONCE_AT);
    const shared = this.#sharedWith(clientKey, body);
    if (shared === 'low order') return failed('a key of low order');
    if (shared === null) return failed('a HELLO that is not for a key of this server');
    const welcome = this.#welcome(clientKey, shared);
    wipe(shared);
    this.#state = 'initiate';
    return { kind: 'continue', send: welcome };
  }

  /** The key shared with the client, for the server key that its HELLO was sealed for. */
  #sharedWith(clientKey: Buffer, body: Buffer): Buffer | 'low order' | null {
    const { crypto, keys } = this.#server;
    const counter = body.subarray(layout.HELLO_NONCE_AT, layout.HELLO_BOX_AT);
    const nonce = layout.nonceOf('CurveZMQHELLO---', counter);
    for (const { secretKey, publicKey } of keys) {
      const shared = crypto.sharedKey(clientKey, secretKey);
      if (shared === null) return 'low order';
      const signed = openBox(crypto, body.subarray(layout.HELLO_BOX_AT), nonce, shared);
      if (signed !== null && timingSafeEqual(signed, layout.HELLO_SIGNED)) {
        this.#publicKey = publicKey;
        return shared;
      }
      wipe(shared);
    }
    return null;
  }

  #welcome(clientKey: Buffer, shared: Buffer): Buffer {
    const { crypto } = this.#server;
    const own = crypto.keyPair();
    const cookieNonce = this.#random(layout.LONG_NONCE_BYTES);
    const secrets = Buffer.concat([clientKey, own.secretKey]);
    const [cookieKey] = this.#server.cookieKeys();
    const cookieBox = sealBox(crypto, secrets, layout.nonceOf('COOKIE--', cookieNonce), cookieKey);
    wipe(secrets, own.secretKey);
    this.#cookieNonce = cookieNonce;
    const nonce = this.#random(layout.LONG_NONCE_BYTES);
    const plain = Buffer.concat([own.publicKey, cookieNonce, cookieBox]);
    const box = sealBox(crypto, plain, layout.nonceOf('WELCOME-', nonce), shared);
    return Buffer.concat([layout.WELCOME_NAME, nonce, box]);
  }

  /** INITIATE → READY, or ERROR for a key that is refused. */
  #initiate(body: Buffer): HandshakeStep {
    if (body.length < layout.INITIATE_BYTES_MIN) return failed('an INITIATE that is too short');
    if (!layout.startsWith(body, layout.INITIATE_NAME)) return failed('no INITIATE after WELCOME');
    const secrets = this.#eatCookie(
      body.subarray(layout.INITIATE_COOKIE_AT, layout.INITIATE_NONCE_AT),
    );
    if (secrets === null) return failed('a cookie that is not of this connection');
    const clientKey = secrets.subarray(0, KEY_BYTES);
    const ownSecret = secrets.subarray(KEY_BYTES);
    const shared = this.#server.crypto.sharedKey(clientKey, ownSecret);
    const step =
      shared === null
        ? failed('a key of low order')
        : this.#openInitiate(body, clientKey, ownSecret, shared);
    wipe(secrets);
    if (step.kind !== 'ready') wipe(shared);
    return step;
  }

  #openInitiate(body: Buffer, clientKey: Buffer, own: Buffer, shared: Buffer): HandshakeStep {
    const { crypto, authorise } = this.#server;
    const counter = body.subarray(layout.INITIATE_NONCE_AT, layout.INITIATE_BOX_AT);
    const nonce = layout.nonceOf('CurveZMQINITIATE', counter);
    const plain = openBox(crypto, body.subarray(layout.INITIATE_BOX_AT), nonce, shared);
    if (plain === null) return failed('an INITIATE that cannot be opened');
    const publicKey = plain.subarray(0, KEY_BYTES);
    const vouch = plain.subarray(KEY_BYTES, layout.INITIATE_PLAIN_BYTES_MIN);
    if (!this.#isVouchedFor(vouch, publicKey, clientKey, own)) {
      return failed('a vouch that is not of the key that it came with');
    }
    this.peerKey = ownCopy(publicKey);
    const verdict = authorise(publicKey, this.#address);
    if (verdict.kind === 'refused') {
      // After this libzmq does not try again.
      return failed(NOT_KNOWN, 'key', REFUSED);
    }
    // Closed without an ERROR, so that the client tries again.
    if (verdict.kind === 'unavailable') return failed(verdict.why, 'keys');
    const read = readMetadata(plain.subarray(layout.INITIATE_PLAIN_BYTES_MIN));
    if (read === BROKEN) return failed('the metadata of INITIATE cannot be read');
    const fault = metadataFault(this.#socketType, read);
    if (fault !== null) return failed(fault);
    const ready = this.#ready(shared);
    this.#cipher = new CurveCipher(crypto, 'server', shared, 1, counter);
    return { kind: 'ready', send: ready, metadata: read, key: verdict.name };
  }

  /**
   * The vouch proves that the owner of the long-term key made the short-term key, for this server.
   */
  #isVouchedFor(vouch: Buffer, publicKey: Buffer, clientKey: Buffer, own: Buffer): boolean {
    const { crypto } = this.#server;
    const shared = crypto.sharedKey(publicKey, own);
    if (shared === null) return false;
    const nonce = layout.nonceOf('VOUCH---', vouch.subarray(0, layout.LONG_NONCE_BYTES));
    const plain = openBox(crypto, vouch.subarray(layout.LONG_NONCE_BYTES), nonce, shared);
    wipe(shared);
    return (
      plain !== null &&
      timingSafeEqual(plain.subarray(0, KEY_BYTES), clientKey) &&
      timingSafeEqual(plain.subarray(KEY_BYTES), this.#publicKey)
    );
  }

  #eatCookie(cookie: Buffer): Buffer | null {
    const expected = this.#cookieNonce;
    this.#cookieNonce = null;
    const given = cookie.subarray(0, layout.LONG_NONCE_BYTES);
    if (expected === null || !timingSafeEqual(given, expected)) return null;
    const nonce = layout.nonceOf('COOKIE--', given);
    const box = cookie.subarray(layout.LONG_NONCE_BYTES);
    const { crypto } = this.#server;
    const [key, lastKey] = this.#server.cookieKeys();
    return openBox(crypto, box, nonce, key) ?? openBox(crypto, box, nonce, lastKey);
  }

  #ready(shared: Buffer): Buffer {
    const counter = Buffer.alloc(layout.SHORT_NONCE_BYTES);
    counter[layout.SHORT_NONCE_BYTES - 1] = 1;
    const nonce = layout.nonceOf('CurveZMQREADY---', counter);
    const plain = metadata(this.#socketType, this.#identity);
    const box = sealBox(this.#server.crypto, plain, nonce, shared);
    return Buffer.concat([layout.READY_NAME, counter, box]);
  }

  #random(bytes: number): Buffer {
    const made = Buffer.alloc(bytes);
    this.#server.random(made);
    return made;
  }
}

function helloFault(body: Buffer): string | null {
  if (body.length !== layout.HELLO_BYTES) return 'a HELLO has 200 bytes';
  return layout.startsWith(body, HELLO_HEAD) ? null : 'no HELLO of version 1.0';
}

function failed(
  reason: string,
  failure: HandshakeFailure = 'handshake',
  send: Buffer | null = null,
): HandshakeStep {
  return { kind: 'failed', send, failure, reason };
}
