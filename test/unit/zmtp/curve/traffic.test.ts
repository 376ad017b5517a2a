import fc from 'fast-check';

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

let keys: Keys;

beforeAll(async () => {
  keys = makeKeys(await loadSodium());
});

const NOT_SEALED = ['failed protocol: a frame that was not sealed by the peer, or came twice'];

describe('CURVE traffic (25/ZMTP-CURVE §MESSAGE)', () => {
  it('carries messages of any frames both ways, unreadable in between', () => {
    const { client, server } = shaken(keys);
    client.send('', 'MDPC01', 'secret service', '');
    const wire = client.output();
    expect(wire.includes('secret')).toBe(false);
    server.hear(wire);
    server.send('x'.repeat(70_000), 'y'.repeat(200_000), 'z');
    client.hear(server.output());
    expect(server.messages).toEqual([['', 'MDPC01', 'secret service', '']]);
    expect(client.messages).toEqual([['x'.repeat(70_000), 'y'.repeat(200_000), 'z']]);
  });

  it('gives the same messages in whatever segments the bytes come', () => {
    const messages = [['a'], ['', 'b'.repeat(300), 'c'], ['d'.repeat(2000)], ['e', 'f']];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 40 }), (cuts) => {
        const { client, server } = shaken(keys);
        for (const frames of messages) client.send(...frames);
        const bytes = client.output();
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          server.hear(bytes.subarray(at, at + cut));
          at += cut;
        }
        expect(server.messages).toEqual(messages);
        expect(server.connection.carriedBytes).toBeLessThanOrEqual(1024);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps frames of an incomplete message apart from those of other connections', () => {
    const one = shaken(keys);
    const other = shaken(keys);
    one.client.send('first of one', 'second of one');
    other.client.send('first of the other', 'second of the other');
    const a = one.client.output();
    const b = other.client.output();
    const cut = a.length - 10;
    one.server.hear(a.subarray(0, cut));
    other.server.hear(b);
    one.server.hear(a.subarray(cut));
    expect(one.server.messages).toEqual([['first of one', 'second of one']]);
    expect(other.server.messages).toEqual([['first of the other', 'second of the other']]);
  });

  it('counts the memory of frames that wait for the last one of their message', () => {
    const { client, server } = shaken(keys);
    client.send('y'.repeat(5000), ...Array.from({ length: 10 }, () => 'x'), 'last');
    const bytes = client.output().subarray(0, -1);
    for (let at = 0; at < bytes.length; at += 90) server.hear(bytes.subarray(at, at + 90));
    const { carriedBytes } = server.connection;
    expect(server.connection.isFailed).toBe(false);
    expect(carriedBytes).toBeGreaterThan(5000 + 10);
    expect(carriedBytes).toBeLessThan(2 * 5000 + 1024);
  });

  it('ends the connection when any byte was changed', () => {
    const { length } = sealed(shaken(keys).client, 'hello');
    for (let at = 0; at < length; at++) {
      const { client, server } = shaken(keys);
      const bytes = sealed(client, 'hello');
      bytes[at] = (bytes[at] ?? 0) ^ 0x80;
      server.hear(bytes);
      server.hear(Buffer.alloc(300));
      expect(server.messages).toEqual([]);
      expect(server.told[1]).toMatch(/^failed (protocol|too_large)/);
    }
  });

  it('ends the connection when a frame comes twice', () => {
    const { client, server } = shaken(keys);
    const bytes = sealed(client, 'pay');
    server.hear(bytes);
    server.hear(bytes);
    expect(server.messages).toEqual([['pay']]);
    expect(server.told.slice(1)).toEqual(NOT_SEALED);
  });

  it('ends the connection when frames were put in another order', () => {
    const { client, server } = shaken(keys);
    const first = sealed(client, 'first');
    server.hear(sealed(client, 'second'));
    server.hear(first);
    expect(server.messages).toEqual([['second']]);
    expect(server.told.slice(1)).toEqual(NOT_SEALED);
  });

  it('ends the connection when a frame is sent back to who sealed it', () => {
    const { client, server } = shaken(keys);
    client.hear(sealed(client, 'mirror'));
    expect(client.told.slice(1)).toEqual(NOT_SEALED);
    expect(server.told).toHaveLength(1);
  });

  it('takes nothing that was sealed for another connection', () => {
    const one = shaken(keys);
    const other = shaken(keys);
    other.server.hear(sealed(one.client, 'not for you'));
    expect(other.server.told.slice(1)).toEqual(NOT_SEALED);
  });

  it('takes no plain text', () => {
    const { server } = shaken(keys);
    server.hear(Buffer.from([0, 5, ...Buffer.from('plain')]));
    expect(server.told.slice(1)).toEqual(NOT_SEALED);
  });

  it('refuses a frame over the limit by its length, before it is there', () => {
    const { server } = shaken(keys);
    server.hear(Buffer.from([2, 0, 0, 0, 0, 1, 0, 0, 0]));
    expect(server.told.slice(1)).toEqual(['failed too_large: a message over the limits']);
  });

  it('counts the frames and bytes of a message that comes in pieces', () => {
    const { client, server } = shaken(keys);
    client.send(...Array.from({ length: 17 }, () => 'x'));
    server.hear(client.output());
    expect(server.told.slice(1)).toEqual(['failed too_large: a message over the limits']);
    const other = shaken(keys);
    other.client.send('x'.repeat(1 << 19), 'x'.repeat(1 << 19), 'y');
    other.server.hear(other.client.output());
    expect(other.server.told.slice(1)).toEqual(['failed too_large: a message over the limits']);
  });

  describe('with a message over the limits (D100)', () => {
    const limits = { messageBytesMax: 5000, skipsOversized: true };
    const over = 'o'.repeat(9000);

    it('skips it in pieces of any size, and reads the next one', () => {
      for (const piece of [1, 5, 100, 1000, 100_000]) {
        const { client, server } = shaken(keys, limits);
        client.send('a', over);
        client.send('b', over, 'c', over, '');
        client.send('next');
        const bytes = client.output();
        for (let at = 0; at < bytes.length; at += piece) {
          server.hear(bytes.subarray(at, at + piece));
        }
        expect(server.told.slice(1)).toEqual([
          'oversized a|: a message of 9001 bytes, at most 5000 are allowed',
          'oversized b|: a message of 18002 bytes, at most 5000 are allowed',
        ]);
        expect(server.messages).toEqual([['next']]);
        expect(server.connection.carriedBytes).toBeLessThanOrEqual(1024);
      }
    });

    it('skips what is over by its last frame, or by its frames', () => {
      const { client, server } = shaken(keys, limits);
      client.send('x'.repeat(2500), 'x'.repeat(2501));
      client.send('x'.repeat(4990), 'x'.repeat(20), 'y');
      client.send(...Array.from({ length: 17 }, () => ''));
      client.send('next');
      server.hear(client.output());
      expect(server.told.slice(1).map((line) => line.replace(/^.*: /, ''))).toEqual([
        'a message of 5001 bytes, at most 5000 are allowed',
        'a message of 5011 bytes, at most 5000 are allowed',
        'a message of 17 frames, at most 16 are allowed',
      ]);
      expect(server.messages).toEqual([['next']]);
    });

    it('answers a PING between its frames', () => {
      const { client, server } = shaken(keys, limits);
      const send = (text: string, more: boolean): void => {
        client.connection.write(Buffer.from(text), 0, text.length, more);
      };
      send(over, true);
      client.connection.ping();
      send('end', false);
      server.output();
      server.hear(client.output());
      expect(server.output().length).toBeGreaterThan(0);
      expect(server.told.slice(1)).toHaveLength(1);
    });

    it('counts no command within it: one of just the limit is whole', () => {
      const { client, server } = shaken(keys, { ...limits, takesSubscriptions: true });
      const write = (text: string, more: boolean): void => {
        client.connection.write(Buffer.from(text), 0, text.length, more);
      };
      write('x'.repeat(4990), true);
      client.connection.subscribe(Buffer.alloc(1000), true);
      write('x'.repeat(10), false);
      write('x'.repeat(4990), true);
      write('x'.repeat(11), false);
      client.send('next');
      server.hear(client.output());
      expect(server.messages.map((frames) => frames.join('').length)).toEqual([5000, 4]);
      expect(server.told.slice(1)).toEqual([
        `oversized |: a message of 5001 bytes, at most 5000 are allowed`,
      ]);
    });

    it('ends the connection when any byte of a skipped frame was changed', () => {
      const { length } = sealed(shaken(keys).client, over);
      for (const at of [1, 8, 9, 15, 17, 24, 25, 40, 41, 42, 5000, length - 1]) {
        const { client, server } = shaken(keys, limits);
        const bytes = sealed(client, over);
        bytes[at] = (bytes[at] ?? 0) ^ 0x01;
        server.hear(bytes);
        server.hear(sealed(client, 'next'));
        expect(server.messages).toEqual([]);
        expect(server.told[1]).toMatch(/^failed (protocol|too_large)/);
      }
    });

    it('takes no skipped frame twice', () => {
      const { client, server } = shaken(keys, limits);
      const bytes = sealed(client, over);
      server.hear(bytes);
      server.hear(bytes);
      expect(server.told.slice(2)).toEqual(NOT_SEALED);
    });
  });

  it('seals PING and PONG, too (37/ZMTP)', () => {
    const { client, server } = shaken(keys);
    client.connection.ping();
    const ping = client.output();
    expect(ping.includes('PING')).toBe(false);
    server.hear(ping, 7);
    expect(server.connection.lastHeardAt).toBe(7);
    const pong = server.output();
    expect(pong.length).toBeGreaterThan(0);
    client.hear(pong, 9);
    expect(client.told).toHaveLength(1);
    expect(client.messages).toEqual([]);
  });

  it('forgets its keys at the end: nothing is sealed any more', () => {
    const { client } = shaken(keys);
    client.connection.close();
    client.send('too late');
    expect(client.output()).toHaveLength(0);
  });

  it('never throws, whatever comes after the greeting', () => {
    const server = curveServer(keys);
    const greeting = clientEnd(keys).output().subarray(0, 64);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 }), (pieces) => {
        const end = serverEnd(server);
        end.hear(greeting);
        for (const piece of pieces) end.hear(Buffer.from(piece));
        const ready = shaken(keys);
        for (const piece of pieces) ready.server.hear(Buffer.from(piece));
        for (const piece of pieces) ready.client.hear(Buffer.from(piece));
        expect(end.messages).toEqual([]);
        expect(ready.server.messages).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('never throws on commands of the right names with arbitrary contents', () => {
    const server = curveServer(keys);
    const names = [
      '\x05HELLO',
      '\x07WELCOME',
      '\x08INITIATE',
      '\x05READY',
      '\x05ERROR',
      '\x07MESSAGE',
    ];
    const bodies = fc.tuple(fc.constantFrom(...names), fc.uint8Array({ maxLength: 250 }));
    fc.assert(
      fc.property(fc.array(bodies, { maxLength: 4 }), (commands) => {
        const ends = [serverEnd(server), clientEnd(keys), shaken(keys).server];
        ends[0]?.hear(clientEnd(keys).output().subarray(0, 64));
        ends[1]?.hear(serverEnd(server).output());
        for (const end of ends) {
          for (const [name, data] of commands) {
            const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
            end.hear(Buffer.concat([Buffer.from([4, Math.min(body.length, 255)]), body]));
          }
          expect(end.messages).toEqual([]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

function sealed(end: End, text: string): Buffer {
  end.send(text);
  return end.output();
}

describe('the connection of a mechanism', () => {
  it('that both sides play the server of is refused by both', () => {
    const one = serverEnd(curveServer(keys));
    const other = serverEnd(curveServer(keys));
    settle(one, other);
    expect(one.told[0]).toMatch(/^failed mechanism/);
    expect(other.told[0]).toMatch(/^failed mechanism/);
  });
});
