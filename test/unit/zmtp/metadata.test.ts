import fc from 'fast-check';

import { BROKEN, metadata, readMetadata } from '../../../src/zmtp/connection/commands.js';
import { DEALER, greetingOf, property, ready, Recorded } from './wire.js';

function shaken(...properties: readonly Buffer[]): Recorded {
  return new Recorded().receive(greetingOf(), ready(...properties));
}

const TYPE = property('Socket-Type', 'DEALER');
const ASSIGNED =
  'an identity of five bytes, of which the first is zero, is one that a ROUTER assigns';

describe('the metadata of READY (23/ZMTP §Connection metadata)', () => {
  it.each(['REQ', 'DEALER', 'ROUTER'])('of a %s is compatible with a ROUTER (28/REQREP)', (type) =>
    expect(shaken(property('Socket-Type', type)).told).toEqual([`ready ${type}`]),
  );

  it.each(['REP', 'PUB', 'SUB', 'XPUB', 'XSUB', 'PUSH', 'PULL', 'PAIR', 'dealer', 'DEALER '])(
    'of a %s is refused',
    (type) => {
      const { told } = shaken(property('Socket-Type', type));
      expect(told).toEqual([`failed handshake: a ROUTER does not talk to a ${type}`]);
    },
  );

  it('without a type, or with one that cannot be shown, is refused and not shown', () => {
    const none = shaken(property('Identity', 'x')).failure;
    expect(none).toBe('failed handshake: a ROUTER does not talk to a peer of no type');
    const odd = shaken(property('Socket-Type', `\n\x00\xff${'x'.repeat(200)}`)).failure;
    expect(odd).toMatch(/^failed handshake: a ROUTER does not talk to a [\x20-\x7e]{1,64}$/);
  });

  it('names its properties in any case; unknown ones are passed over, the last one holds', () => {
    const recorded = shaken(
      property('X-Color', 'blue'),
      property('SOCKET-type', 'REQ'),
      property('Resource', ''),
      property('socket-TYPE', 'DEALER'),
      property('identity', 'a'),
      property('IDENTITY', 'b'),
    );
    expect(recorded.told).toEqual(['ready DEALER']);
    expect(recorded.identity?.toString()).toBe('b');
  });

  it('keeps its identity when the bytes in which it came are gone', () => {
    const recorded = shaken(TYPE, property('Identity', 'named'));
    expect(recorded.identity?.toString()).toBe('named');
  });

  it.each([
    ['1 byte', 'a', ''],
    ['255 bytes', 'a'.repeat(255), ''],
    ['256 bytes', 'a'.repeat(256), 'failed handshake: an identity is at most 255 bytes'],
    ['a zero first', '\0a', ''],
    ['nothing but a zero', '\0', ''],
    ['16 bytes, a zero first', `\0${'a'.repeat(15)}`, ''],
    ['5 bytes, a zero first', '\0\0\0\0\x01', `failed handshake: ${ASSIGNED}`],
    ['5 bytes, a zero last', 'abcd\0', ''],
    ['a zero later', 'a\0', ''],
  ])('with an identity of %s', (_, identity, failure) => {
    expect(shaken(TYPE, property('Identity', identity)).failure).toBe(failure);
  });

  it('broken off anywhere but between two properties is refused', () => {
    const whole = Buffer.concat([TYPE, property('Identity', 'x')]);
    for (let length = 0; length < whole.length; length++) {
      const broken = length !== 0 && length !== TYPE.length;
      expect([length, readMetadata(whole.subarray(0, length)) === BROKEN]).toEqual([
        length,
        broken,
      ]);
    }
    expect(shaken(whole.subarray(0, -1)).failure).toMatch(/cannot be read$/);
  });

  it('with a name of no bytes, or a value of 2^32 - 1, is refused', () => {
    expect(readMetadata(Buffer.from([0, 0, 0, 0, 0]))).toBe(BROKEN);
    expect(readMetadata(Buffer.from([1, 0x78, 0xff, 0xff, 0xff, 0xff, 0]))).toBe(BROKEN);
  });

  it('of our own is read back', () => {
    const identity = Buffer.from('me');
    expect(readMetadata(metadata('DEALER', identity))).toEqual({ socketType: 'DEALER', identity });
    expect(new Recorded().receive(greetingOf(), DEALER).told).toEqual(['ready DEALER']);
  });

  it('of any bytes is read or refused, never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readMetadata(Buffer.from(bytes));
      }),
    );
  });
});
