/** Peers of ZMTP 2.0, byte by byte from 15/ZMTP. */
import type { SocketType } from '../../../src/zmtp/connection/commands.js';
import { frame, commandFrame, message, Recorded } from './wire.js';

const SIGNATURE = Buffer.from('ff00000000000000017f', 'hex');
const ROUTER = 6;
const DEALER = 5;

/** Signature and revision, type, identity. */
function greeting2(type: number, identity = ''): Buffer {
  const revisionAndType = Buffer.from([1, type]);
  return Buffer.concat([SIGNATURE, revisionAndType, frame(0, identity)]);
}

describe('a peer of ZMTP 2.0 (15/ZMTP)', () => {
  it('gets type and identity after its revision, before its own, and needs no READY', () => {
    const recorded = new Recorded();
    expect(recorded.sent().toString('hex')).toBe('ff00000000000000007f03');
    recorded.receive(SIGNATURE);
    expect(recorded.sent()).toHaveLength(0);
    recorded.receive(Buffer.from([1]));
    expect([...recorded.sent()]).toEqual([ROUTER, 0, 0]);
    recorded.connection.showGreeting();
    recorded.receive(Buffer.from([DEALER]), Buffer.from([0]), Buffer.from([3]), Buffer.from('on'));
    expect(recorded.told).toEqual([]);
    recorded.receive(Buffer.from('e'));
    expect(recorded.told).toEqual(['ready DEALER']);
    expect(recorded.identity?.toString()).toBe('one');
    expect(recorded.sent()).toHaveLength(0);
  });

  it('sends frames, short and long, that are those of ZMTP 3, and gets the same', () => {
    const long = 'x'.repeat(300);
    const sent = Buffer.concat([greeting2(DEALER), message('', 'hello', long), message('next')]);
    const recorded = new Recorded().receive(sent);
    recorded.sent();
    expect(recorded.messages).toEqual([['', 'hello', long], ['next']]);
    recorded.connection.write(Buffer.from('reply'), 0, 5, true);
    recorded.connection.write(Buffer.from(long), 0, 300, false);
    expect(recorded.sent()).toEqual(message('reply', long));
  });

  it.each<[SocketType, number, string]>([
    ['ROUTER', 3, 'REQ'],
    ['ROUTER', 6, 'ROUTER'],
    ['PUB', 2, 'SUB'],
    ['SUB', 1, 'PUB'],
  ])('of a %s has a type with the number %d: %s', (own, type, name) => {
    expect(new Recorded(undefined, own).receive(greeting2(type)).told).toEqual([`ready ${name}`]);
  });

  it('is sent no command: no PING, and a subscription is a message', () => {
    const recorded = new Recorded(undefined, 'SUB').receive(greeting2(1));
    recorded.sent();
    recorded.connection.ping();
    recorded.connection.subscribe(Buffer.from('topic'), true);
    expect(recorded.sent()).toEqual(message('\x01topic'));
  });

  it('that sends a command is ended, also in a message that is skipped', () => {
    const ping = commandFrame('PING', '\0\0');
    const failed = 'failed protocol: unknown frame flags';
    expect(new Recorded().receive(greeting2(DEALER), ping).failure).toBe(failed);
    const skipping = new Recorded({ messageBytesMax: 8, framesMax: 8, skipsOversized: true });
    skipping.receive(greeting2(DEALER), frame(1, 'nine bytes'), ping);
    expect(skipping.failure).toBe(failed);
  });

  it.each<[string, Buffer, string]>([
    ['an unknown type', greeting2(9), 'ZMTP 2.0 has no socket of type 9'],
    ['a type that a ROUTER has no use for', greeting2(8), 'a ROUTER does not talk to a PUSH'],
    ['a command', commandFrame('READY'), 'no identity in the greeting of ZMTP 2.0'],
    [
      'an identity as a ROUTER assigns it',
      greeting2(5, '\0abcd'),
      'an identity of five bytes, of which the first is zero, is one that a ROUTER assigns',
    ],
  ])('with %s is refused', (_, bytes, reason) => {
    const all =
      bytes[0] === 0xff ? bytes : Buffer.concat([SIGNATURE, Buffer.from([1, DEALER]), bytes]);
    expect(new Recorded().receive(all).told).toEqual([`failed handshake: ${reason}`]);
  });

  it('is refused once it has got a greeting of ZMTP 3, as a dialling socket sends at once', () => {
    const late = new Recorded();
    late.connection.showGreeting();
    const dialling = new Recorded(undefined, 'DEALER', false);
    for (const recorded of [late, dialling]) {
      recorded.receive(greeting2(DEALER));
      expect(recorded.told).toEqual([
        'failed greeting: the peer speaks ZMTP 2.0, and said so too late',
      ]);
      // By that it knows how to dial again.
      expect(recorded.connection.isVersion2).toBe(true);
    }
    expect(new Recorded().receive(SIGNATURE).connection.isVersion2).toBe(false);
  });
});
