import type { CurveCrypto } from '../../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../../src/zmtp/curve/sodium.js';
import type { End } from './support.js';
import {
  clientEnd,
  curveServer,
  type Keys,
  makeKeys,
  serverEnd,
  settle,
  shaken,
} from './support.js';

const GREETING_BYTES = 64;
/** A frame head, and what is in it. */
const HELLO_FRAME_BYTES = 2 + 200;
const WELCOME_FRAME_BYTES = 2 + 168;
/** A point of order 2 and the point of order 1 (RFC 7748 §6.1: both give zero). */
const LOW_ORDER = [Buffer.alloc(32), Buffer.from([1, ...new Uint8Array(31)])];

let keys: Keys;

beforeAll(async () => {
  keys = makeKeys(await loadSodium());
});

/** The greetings are exchanged; HELLO is in hand. */
function hello(client: End, server: End): Buffer {
  client.hear(server.output());
  const all = client.output();
  server.hear(all.subarray(0, GREETING_BYTES));
  return all.subarray(GREETING_BYTES);
}

describe('the CURVE handshake (25/ZMTP-CURVE, 26/CurveZMQ)', () => {
  it('lets both ends know each other, and the server the name of the key', () => {
    const { client, server } = shaken(keys);
    expect(server.told).toEqual(['ready DEALER alice']);
    expect(client.told).toEqual(['ready ROUTER server']);
    expect(server.identity).toBe('me');
  });

  it('has a HELLO of exactly 200 bytes and a WELCOME of 168: no amplification', () => {
    const client = clientEnd(keys);
    const server = serverEnd(curveServer(keys));
    const sent = hello(client, server);
    expect(sent).toHaveLength(HELLO_FRAME_BYTES);
    server.hear(sent);
    expect(server.output()).toHaveLength(WELCOME_FRAME_BYTES);
  });

  it('is for any of the keys of the server, so that one can be exchanged for the next', () => {
    const next = keys.crypto.keyPair();
    const both = (): End => serverEnd(curveServer(keys, undefined, undefined, [next]));
    for (const { publicKey: serverKey } of [keys.server, next]) {
      const [client, server] = [clientEnd(keys, { serverKey }), both()];
      settle(client, server);
      expect(server.told).toEqual(['ready DEALER alice']);
      expect(client.told).toEqual(['ready ROUTER server']);
    }
    const stranger = clientEnd(keys, { serverKey: keys.crypto.keyPair().publicKey });
    const server = both();
    settle(stranger, server);
    expect(server.told).toEqual(['failed handshake: a HELLO that is not for a key of this server']);
  });

  it.each([199, 201])('refuses a HELLO of %d bytes', (size) => {
    const client = clientEnd(keys);
    const server = serverEnd(curveServer(keys));
    const body = hello(client, server).subarray(2);
    server.output();
    const other = Buffer.concat([Buffer.from([4, size]), body, Buffer.alloc(1)]);
    server.hear(other.subarray(0, 2 + size));
    expect(server.told).toEqual(['failed handshake: a HELLO has 200 bytes']);
    expect(server.output()).toHaveLength(0);
  });

  it('works whatever segments the bytes come in', () => {
    const client = clientEnd(keys);
    const server = serverEnd(curveServer(keys));
    for (let round = 0; round < 10; round++) {
      for (const byte of client.output()) server.hear(Buffer.from([byte]));
      for (const byte of server.output()) client.hear(Buffer.from([byte]));
    }
    expect(server.told).toEqual(['ready DEALER alice']);
    expect(client.told).toEqual(['ready ROUTER server']);
  });

  it('ends when any byte of it was changed, and never by an exception', () => {
    const server = curveServer(keys);
    const lengths: number[] = [];
    const run = (change: (step: number, bytes: Buffer) => Buffer): [End, End] => {
      const client = clientEnd(keys);
      const peer = serverEnd(server);
      const first = hello(client, peer);
      peer.output();
      [client, peer, client, peer].reduce((bytes, from, step) => {
        lengths[step] = bytes.length;
        const to = from === client ? peer : client;
        to.hear(change(step, bytes));
        return to.output();
      }, first);
      return [client, peer];
    };
    expect(run((_, bytes) => bytes)[0].told).toEqual(['ready ROUTER server']);
    const whole = [...lengths].slice(0, 4);
    whole.forEach((length, step) => {
      // Every byte of the commands' heads, then a sample: all are under the one MAC or compared.
      for (let at = 0; at < length; at += at < 12 ? 1 : 7) {
        const [client, peer] = run((now, bytes) => {
          if (now !== step) return bytes;
          const changed = Buffer.from(bytes);
          changed[at] = (changed[at] ?? 0) ^ 0x01;
          return changed;
        });
        const isPadding = step === 0 && at >= 2 + 8 && at < 2 + 80;
        if (!isPadding) {
          expect([client.told, peer.told]).not.toContainEqual(['ready ROUTER server']);
        }
      }
    });
  });

  it('refuses a client that wants another server', () => {
    const client = clientEnd(keys, { serverKey: keys.client.publicKey });
    const server = serverEnd(curveServer(keys));
    settle(client, server);
    expect(server.told).toEqual(['failed handshake: a HELLO that is not for a key of this server']);
    expect(client.told).toEqual([]);
  });

  it('is the only one: a peer of ZMTP 2.0, which has no keys, is refused at its revision', () => {
    const server = serverEnd(curveServer(keys), { waitsForGreeting: true });
    server.output();
    server.hear(Buffer.from('ff00000000000000017f01', 'hex'));
    expect(server.told).toEqual(['failed mechanism: the peer speaks ZMTP 2.0, which has no CURVE']);
    expect(server.output()).toHaveLength(0);
  });

  it('refuses a client that has the public key of somebody but not the secret one', () => {
    const { secretKey } = keys.crypto.keyPair();
    const client = clientEnd(keys, { secretKey });
    const server = serverEnd(curveServer(keys));
    settle(client, server);
    expect(server.told).toEqual([
      'failed handshake: a vouch that is not of the key that it came with',
    ]);
  });

  it.each([
    ['short-term key', 0],
    ['server', 32],
  ])('refuses a vouch for another %s: it may have been given to somebody else', (_, at) => {
    const { crypto } = keys;
    let seals64 = 0;
    let room = 0;
    const forging: CurveCrypto = {
      get memory() {
        return crypto.memory;
      },
      keyPair: () => crypto.keyPair(),
      publicKeyOf: (secretKey) => crypto.publicKeyOf(secretKey),
      sharedKey: (publicKey, secretKey) => crypto.sharedKey(publicKey, secretKey),
      frameKey: (sharedKey, nonce) => crypto.frameKey(sharedKey, nonce),
      room: (size) => (room = crypto.room(size)),
      seal: (size, ...rest) => {
        // The first is the signature of HELLO, the second the vouch.
        const isVouch = size === 64 && ++seals64 === 2;
        if (isVouch) crypto.memory[room + at] = (crypto.memory[room + at] ?? 0) ^ 1;
        crypto.seal(size, ...rest);
      },
      open: (...args) => crypto.open(...args),
      verify: (...args) => crypto.verify(...args),
    };
    const client = clientEnd({ ...keys, crypto: forging });
    const server = serverEnd(curveServer(keys));
    settle(client, server);
    expect(seals64).toBe(2);
    expect(server.told).toEqual([
      'failed handshake: a vouch that is not of the key that it came with',
    ]);
  });

  it.each(LOW_ORDER)('refuses a short-term key of low order', (key) => {
    const client = clientEnd(keys);
    const server = serverEnd(curveServer(keys));
    const sent = Buffer.from(hello(client, server));
    key.copy(sent, 2 + 80);
    server.hear(sent);
    expect(server.told).toEqual(['failed handshake: a key of low order']);
  });

  it.each(LOW_ORDER)('never comes to an end with a server key of low order', (serverKey) => {
    const client = clientEnd(keys, { serverKey });
    const server = serverEnd(curveServer(keys));
    settle(client, server);
    expect(server.told[0]).toMatch(/^failed handshake/);
  });

  it('answers a key that may not come in by ERROR 400: it will not help to try again', () => {
    const client = clientEnd(keys);
    const server = serverEnd(curveServer(keys, () => ({ kind: 'refused' })));
    settle(client, server);
    expect(server.told).toEqual(['failed key: its key is not in the keys file']);
    expect(client.told).toEqual(['failed key: the peer refused: 400']);
  });

  it('says nothing when it cannot find out who may come in: trying again will help', () => {
    const client = clientEnd(keys);
    const server = serverEnd(
      curveServer(keys, () => ({ kind: 'unavailable', why: 'nobody knows' })),
    );
    settle(client, server);
    expect(server.told).toEqual(['failed keys: nobody knows']);
    expect(client.told).toEqual([]);
  });

  it('asks who may come in only for a key that has proved itself', () => {
    const asked: Buffer[] = [];
    const server = curveServer(keys, (publicKey) => {
      asked.push(Buffer.from(publicKey));
      return { kind: 'allowed', name: 'alice' };
    });
    const { secretKey } = keys.crypto.keyPair();
    settle(clientEnd(keys, { secretKey }), serverEnd(server));
    expect(asked).toEqual([]);
    settle(clientEnd(keys), serverEnd(server));
    expect(asked).toEqual([keys.client.publicKey]);
  });

  it('takes no INITIATE that was recorded on another connection', () => {
    const server = curveServer(keys);
    const client = clientEnd(keys);
    const first = serverEnd(server);
    const sentHello = hello(client, first);
    first.output();
    first.hear(sentHello);
    client.hear(first.output());
    const initiate = client.output();
    first.hear(initiate);
    expect(first.told).toEqual(['ready DEALER alice']);

    const second = serverEnd(server);
    hello(clientEnd(keys), second);
    second.hear(sentHello);
    second.hear(initiate);
    expect(second.told).toEqual(['failed handshake: a cookie that is not of this connection']);
  });

  it('forgets cookies: after two minutes an INITIATE is too late', () => {
    const after = (waitedMs: number): readonly string[] => {
      let now = 0;
      const shared = curveServer(keys, undefined, () => now);
      const client = clientEnd(keys);
      const server = serverEnd(shared);
      server.hear(hello(client, server));
      client.hear(server.output());
      now = waitedMs;
      // Others' handshakes turn the key.
      settle(clientEnd(keys), serverEnd(shared));
      now = waitedMs + waitedMs;
      settle(clientEnd(keys), serverEnd(shared));
      server.hear(client.output());
      return server.told;
    };
    expect(after(29_000)).toEqual(['ready DEALER alice']);
    expect(after(61_000)).toEqual(['failed handshake: a cookie that is not of this connection']);
  });

  it('takes no third command', () => {
    const { client, server } = shaken(keys);
    expect(server.connection.isReady && client.connection.isReady).toBe(true);
    const late = serverEnd(curveServer(keys));
    const one = clientEnd(keys);
    const sent = hello(one, late);
    late.hear(sent);
    late.hear(sent);
    expect(late.told).toEqual(['failed handshake: an INITIATE that is too short']);
  });
});
