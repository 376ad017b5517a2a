/** A ZMTP connection after its handshake, and the bytes of many requests for it. */
import { monotonicMs } from '../../src/core/clock.js';
import { Frames } from '../../src/core/frames.js';
import { secureRandom } from '../../src/core/random.js';
import { Connection, type ConnectionEvents } from '../../src/zmtp/connection/connection.js';
import { CurveClientMechanism } from '../../src/zmtp/curve/client.js';
import { CurveServer } from '../../src/zmtp/curve/server.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import type { Mechanism } from '../../src/zmtp/connection/mechanism.js';
import { NullMechanism } from '../../src/zmtp/connection/null.js';

export type MechanismName = 'NULL' | 'CURVE';

/** The traffic on the connection. */
export interface Load {
  readonly mechanism: MechanismName;
  readonly messages: number;
  /** Messages per read of the socket. */
  readonly perRead: number;
}

export interface Stream {
  readonly connection: Connection;
  /** Pass these to `connection.receive`, in order, each once. */
  readonly reads: readonly Buffer[];
}

/** A REQUEST as this package's clients send it: correlation, delimiter, 16 bytes of body. */
const REQUEST = Frames.of('5byte', '', 'MDPC02', Buffer.from([1]), 'echo', 'x'.repeat(16));
const NOTHING = Buffer.alloc(0);

async function mechanisms(name: MechanismName): Promise<readonly [Mechanism, Mechanism]> {
  if (name === 'NULL') {
    return [new NullMechanism('ROUTER', NOTHING), new NullMechanism('DEALER', NOTHING)];
  }
  const crypto = await loadSodium();
  const own = crypto.keyPair();
  const { publicKey, secretKey } = crypto.keyPair();
  const server = new CurveServer({
    crypto,
    secretKeys: [own.secretKey],
    authorise: () => ({ kind: 'allowed', name: 'bench' }),
    random: secureRandom,
    clock: monotonicMs,
  });
  const client = new CurveClientMechanism({
    crypto,
    random: secureRandom,
    socketType: 'DEALER',
    identity: NOTHING,
    serverKey: own.publicKey,
    publicKey,
    secretKey,
  });
  return [server.mechanism('ROUTER'), client];
}

function end(mechanism: Mechanism, message: (frames: Frames) => void): Connection {
  const events: ConnectionEvents = {
    ready: () => undefined,
    message,
    failed: (kind, reason) => {
      throw new Error(`${kind}: ${reason}`);
    },
  };
  const limits = { messageBytesMax: 1 << 24, framesMax: 256 };
  return new Connection({ mechanism, waitsForGreeting: false, ...limits }, events, new Frames(), 0);
}

const output = (connection: Connection): Buffer => Buffer.concat(connection.output.take().views);

/** @param message called for each request that is read */
export async function prepare(load: Load, message: (frames: Frames) => void): Promise<Stream> {
  const [ofServer, ofClient] = await mechanisms(load.mechanism);
  const server = end(ofServer, message);
  const client = end(ofClient, () => undefined);
  while (!server.isReady || !client.isReady) {
    server.receive(output(client), 0);
    client.receive(output(server), 0);
  }
  const reads: Buffer[] = [];
  for (let written = 0; written < load.messages; written += load.perRead) {
    for (let index = 0; index < load.perRead; index++) {
      for (let frame = 0; frame < REQUEST.count; frame++) {
        const isLast = frame === REQUEST.count - 1;
        client.write(REQUEST.buffer(frame), 0, REQUEST.size(frame), !isLast);
      }
    }
    reads.push(output(client));
  }
  return { connection: server, reads };
}
