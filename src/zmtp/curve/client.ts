/** The client's side of CURVE (25/ZMTP-CURVE, 26/CurveZMQ): it knows the key of its server. */
import type { RandomFill } from '../../core/random.js';
import {
  BROKEN,
  commandData,
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
import { errorReason } from '../connection/null.js';
import { openBox, sealBox } from './box.js';
import { CurveCipher } from './cipher.js';
import { type CurveCrypto, KEY_BYTES, type KeyPair, wipe } from './crypto.js';
import * as layout from './layout.js';

export interface CurveClientKeys {
  /** The server's public key. */
  readonly serverKey: Buffer;
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

interface CurveClientOptions extends CurveClientKeys {
  readonly crypto: CurveCrypto;
  readonly random: RandomFill;
  readonly socketType: SocketType;
  /** The routing id; empty for none. */
  readonly identity: Buffer;
}

type State = 'welcome' | 'ready' | 'over';

const HELLO_COUNTER = 1;
const INITIATE_COUNTER = 2;

export class CurveClientMechanism implements Mechanism {
  readonly name = 'CURVE';
  readonly asServer = false;
  readonly peerKey = null;
  readonly plain = null;
  readonly #options: CurveClientOptions;
  /** The short-term keys. */
  readonly #own: KeyPair;
  #state: State = 'welcome';
  /** The key shared by both short-term keys, from WELCOME on. */
  #shared: Buffer | null = null;
  #cipher: CurveCipher | null = null;

  constructor(options: CurveClientOptions) {
    this.#options = options;
    this.#own = options.crypto.keyPair();
  }

  /** HELLO. With a server key of low order, nobody can open it. */
  begin(): Buffer {
    const { crypto, serverKey } = this.#options;
    const counter = counterOf(HELLO_COUNTER);
    const hello = Buffer.alloc(layout.HELLO_BYTES);
    layout.HELLO_NAME.copy(hello);
    hello[layout.HELLO_VERSION_AT] = 1;
    this.#own.publicKey.copy(hello, layout.HELLO_KEY_AT);
    counter.copy(hello, layout.HELLO_NONCE_AT);
    const shared = crypto.sharedKey(serverKey, this.#own.secretKey);
    if (shared === null) return hello;
    const nonce = layout.nonceOf('CurveZMQHELLO---', counter);
    sealBox(crypto, layout.HELLO_SIGNED, nonce, shared).copy(hello, layout.HELLO_BOX_AT);
    wipe(shared);
    return hello;
  }

  isCostly(): boolean {
    return false;
  }

  step(body: Buffer): HandshakeStep {
    const state = this.#state;
    this.#state = 'over';
    if (layout.startsWith(body, layout.ERROR_NAME)) {
      const reason = errorReason(commandData(body));
      return failed(`the peer refused: ${reason}`, reason === '400' ? 'key' : 'handshake');
    }
    if (state === 'welcome') return this.#welcome(body);
    if (state === 'ready') return this.#ready(body);
    return failed('a command after the end of the handshake');
  }

  cipher(): FrameCipher | null {
    const made = this.#cipher;
    this.#cipher = null;
    return made;
  }

  close(): void {
    wipe(this.#own.secretKey, this.#shared);
    this.#shared = null;
    this.#cipher?.close();
    this.#cipher = null;
  }

  /** WELCOME → INITIATE. */
  #welcome(body: Buffer): HandshakeStep {
    const { crypto, serverKey } = this.#options;
    if (body.length !== layout.WELCOME_BYTES) return failed('a WELCOME has 168 bytes');
    if (!layout.startsWith(body, layout.WELCOME_NAME)) return failed('no WELCOME after HELLO');
    const shared = crypto.sharedKey(serverKey, this.#own.secretKey);
    if (shared === null) return failed('a server key of low order');
    const nonce = layout.nonceOf(
      'WELCOME-',
      body.subarray(layout.WELCOME_NONCE_AT, layout.WELCOME_BOX_AT),
    );
    const plain = openBox(crypto, body.subarray(layout.WELCOME_BOX_AT), nonce, shared);
    wipe(shared);
    if (plain === null) return failed('a WELCOME that is not of the server with the key wanted');
    const serverShortKey = plain.subarray(0, KEY_BYTES);
    this.#shared = crypto.sharedKey(serverShortKey, this.#own.secretKey);
    if (this.#shared === null) return failed('a key of low order');
    const initiate = this.#initiate(serverShortKey, plain.subarray(KEY_BYTES), this.#shared);
    if (initiate === null) return failed('a key of low order');
    this.#state = 'ready';
    return { kind: 'continue', send: initiate };
  }

  #initiate(serverShortKey: Buffer, cookie: Buffer, shared: Buffer): Buffer | null {
    const { crypto, serverKey, publicKey, secretKey, socketType, identity } = this.#options;
    const vouchShared = crypto.sharedKey(serverShortKey, secretKey);
    if (vouchShared === null) return null;
    const vouchNonce = Buffer.alloc(layout.LONG_NONCE_BYTES);
    this.#options.random(vouchNonce);
    const vouched = Buffer.concat([this.#own.publicKey, serverKey]);
    const vouch = sealBox(crypto, vouched, layout.nonceOf('VOUCH---', vouchNonce), vouchShared);
    wipe(vouchShared);
    const counter = counterOf(INITIATE_COUNTER);
    const plain = Buffer.concat([publicKey, vouchNonce, vouch, metadata(socketType, identity)]);
    const box = sealBox(crypto, plain, layout.nonceOf('CurveZMQINITIATE', counter), shared);
    return Buffer.concat([layout.INITIATE_NAME, cookie, counter, box]);
  }

  #ready(body: Buffer): HandshakeStep {
    const { crypto, socketType } = this.#options;
    const shared = this.#shared;
    if (shared === null || !layout.startsWith(body, layout.READY_NAME)) {
      return failed('no READY after INITIATE');
    }
    if (body.length < layout.READY_BOX_AT) return failed('a READY that is too short');
    const counter = body.subarray(layout.READY_NONCE_AT, layout.READY_BOX_AT);
    const nonce = layout.nonceOf('CurveZMQREADY---', counter);
    const plain = openBox(crypto, body.subarray(layout.READY_BOX_AT), nonce, shared);
    if (plain === null) return failed('a READY that cannot be opened');
    const read = readMetadata(plain);
    if (read === BROKEN) return failed('the metadata of READY cannot be read');
    const fault = metadataFault(socketType, read);
    if (fault !== null) return failed(fault);
    this.#cipher = new CurveCipher(crypto, 'client', shared, INITIATE_COUNTER, counter);
    // The cipher has erased it.
    this.#shared = null;
    wipe(this.#own.secretKey);
    // The only possible key.
    return { kind: 'ready', send: null, metadata: read, key: 'server' };
  }
}

function counterOf(value: number): Buffer {
  const counter = Buffer.alloc(layout.SHORT_NONCE_BYTES);
  counter[layout.SHORT_NONCE_BYTES - 1] = value;
  return counter;
}

function failed(reason: string, failure: HandshakeFailure = 'handshake'): HandshakeStep {
  return { kind: 'failed', send: null, failure, reason };
}
