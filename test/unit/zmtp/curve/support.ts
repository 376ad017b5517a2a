/** Two connections of ours, and the bytes between them in a test's hands. */
import type { Frames } from '../../../../src/core/frames.js';
import { Frames as FrameList } from '../../../../src/core/frames.js';
import { secureRandom } from '../../../../src/core/random.js';
import { CurveClientMechanism, type CurveClientKeys } from '../../../../src/zmtp/curve/client.js';
import type { CurveCrypto, KeyPair } from '../../../../src/zmtp/curve/crypto.js';
import { type Authorise, CurveServer } from '../../../../src/zmtp/curve/server.js';
import {
  Connection,
  type ConnectionEvents,
  type ConnectionOptions,
} from '../../../../src/zmtp/connection/connection.js';
import type { Metadata } from '../../../../src/zmtp/connection/commands.js';
import type { Mechanism } from '../../../../src/zmtp/connection/mechanism.js';

const ROUNDS_MAX = 1000;
const LIMITS = { messageBytesMax: 1 << 20, framesMax: 16 } as const;

/** One end, and all that it told. */
export class End implements ConnectionEvents {
  readonly told: string[] = [];
  readonly messages: string[][] = [];
  identity = '';
  readonly connection: Connection;

  constructor(mechanism: Mechanism, options: Partial<ConnectionOptions> = {}) {
    this.connection = new Connection(
      { mechanism, waitsForGreeting: false, ...LIMITS, ...options },
      this,
      new FrameList(),
      0,
    );
  }

  ready(metadata: Metadata, key: string | null): void {
    this.identity = String(metadata.identity);
    this.told.push(`ready ${metadata.socketType} ${String(key)}`);
  }

  message(frames: Frames): void {
    this.messages.push(frames.copyFrom(0).map(String));
  }

  oversized(head: Frames, reason: string): void {
    this.told.push(`oversized ${head.copyFrom(0).map(String).join('|')}: ${reason}`);
  }

  failed(kind: string, reason: string): void {
    this.told.push(`failed ${kind}: ${reason}`);
  }

  /** What it has to say. */
  output(): Buffer {
    return Buffer.concat(this.connection.output.take().views);
  }

  hear(bytes: Buffer, now = 0): void {
    this.connection.receive(bytes, now);
  }

  send(...frames: string[]): void {
    frames.forEach((frame, index) => {
      const bytes = Buffer.from(frame);
      this.connection.write(bytes, 0, bytes.length, index < frames.length - 1);
    });
  }
}

export interface Keys {
  readonly crypto: CurveCrypto;
  readonly server: KeyPair;
  readonly client: KeyPair;
}

export function makeKeys(crypto: CurveCrypto): Keys {
  return { crypto, server: crypto.keyPair(), client: crypto.keyPair() };
}

export function curveServer(
  { crypto, server }: Keys,
  authorise: Authorise = () => ({ kind: 'allowed', name: 'alice' }),
  clock: () => number = () => 0,
  others: readonly KeyPair[] = [],
): CurveServer {
  const secretKeys = [server, ...others].map(({ secretKey }) => secretKey);
  return new CurveServer({ crypto, secretKeys, authorise, random: secureRandom, clock });
}

export function serverEnd(server: CurveServer, options: Partial<ConnectionOptions> = {}): End {
  return new End(server.mechanism('ROUTER'), options);
}

export function clientEnd(keys: Keys, others: Partial<CurveClientKeys> = {}): End {
  return new End(
    new CurveClientMechanism({
      crypto: keys.crypto,
      random: secureRandom,
      socketType: 'DEALER',
      identity: Buffer.from('me'),
      serverKey: keys.server.publicKey,
      ...keys.client,
      ...others,
    }),
  );
}

/** Carries bytes both ways until nobody has any more to say. */
export function settle(one: End, other: End): void {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const there = one.output();
    const back = other.output();
    if (there.length === 0 && back.length === 0) return;
    other.hear(there);
    one.hear(back);
  }
  throw new Error(`they still talk after ${ROUNDS_MAX} rounds`);
}

/** Both ends after their handshake. @param options of the server's end */
export function shaken(
  keys: Keys,
  options: Partial<ConnectionOptions> = {},
): { client: End; server: End } {
  const client = clientEnd(keys);
  const server = new End(curveServer(keys).mechanism('ROUTER'), options);
  settle(client, server);
  return { client, server };
}
