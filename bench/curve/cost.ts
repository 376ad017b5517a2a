/**
 * CPU µs to seal and to open a frame of each size, as JSON: the cipher alone, without sockets.
 *
 *     node build/bench/curve/cost.js DIRECTORY
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { CurveCipher, CurveSide } from '../../src/zmtp/curve/cipher.js';
import type { CurveCrypto } from '../../src/zmtp/curve/crypto.js';
import { OpenedFrame } from '../../src/zmtp/connection/mechanism.js';
import type { Costs } from './costs.js';

interface Cipher {
  readonly CurveCipher: new (
    crypto: CurveCrypto,
    side: CurveSide,
    key: Buffer,
    sent: number,
    heard: Buffer,
  ) => CurveCipher;
}

interface Sodium {
  readonly loadSodium: () => Promise<CurveCrypto>;
}

const SIZES = [16, 1024, 64 * 1024];
const FRAMES_PER_MESSAGE = 4;
/** Of one measurement. */
const FRAMES_MAX = 400_000;
const BYTES_MAX = 128 * 1024 * 1024;
/** Of sealing or opening without a look at the clock. */
const RUN_FRAMES_MAX = 1024;
const RUN_BYTES_MAX = 4 * 1024 * 1024;
const COUNTER = Buffer.alloc(8);

const directory = process.argv[2] ?? process.cwd();

async function load<T>(file: string): Promise<T> {
  const url = pathToFileURL(join(directory, 'build', 'src', 'zmtp', 'curve', file));
  // A module of another build: it has the same shape.
  return (await import(url.href)) as T;
}

const { CurveCipher: CipherOf } = await load<Cipher>('cipher.js');
const { loadSodium } = await load<Sodium>('sodium.js');
const crypto = await loadSodium();
const client = crypto.keyPair();
const server = crypto.keyPair();

function cipher(side: CurveSide): CurveCipher {
  const shared = crypto.sharedKey(server.publicKey, client.secretKey) ?? Buffer.alloc(0);
  return new CipherOf(crypto, side, shared, 0, COUNTER);
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function measure(size: number): Costs {
  const frames = Math.min(FRAMES_MAX, Math.floor(BYTES_MAX / size));
  const run = Math.min(RUN_FRAMES_MAX, Math.floor(RUN_BYTES_MAX / size));
  const one = cipher('client');
  const other = cipher('server');
  const plain = Buffer.alloc(size, 'x');
  const sealedBytes = one.sealedBytes(size);
  const sealed = Buffer.alloc(run * sealedBytes);
  const opened = new OpenedFrame();
  let sealing = 0;
  let opening = 0;
  let done = 0;
  for (; done < frames; done += run) {
    const begun = cpuUs();
    for (let at = 0; at < sealed.length; at += sealedBytes) {
      one.seal(0, plain, 0, size, sealed, at);
    }
    const between = cpuUs();
    for (let at = 0, frame = 0; at < sealed.length; at += sealedBytes, frame++) {
      if (frame % FRAMES_PER_MESSAGE === 0) other.recycle();
      if (!other.open(sealed, at, at + sealedBytes, opened)) throw new Error('it does not open');
    }
    opening += cpuUs() - between;
    sealing += between - begun;
  }
  return { size, sealUs: sealing / done, openUs: opening / done };
}

for (const size of SIZES) measure(size);
process.stdout.write(JSON.stringify(SIZES.map(measure)));
