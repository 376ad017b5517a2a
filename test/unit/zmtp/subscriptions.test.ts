import type { SocketType } from '../../../src/zmtp/connection/commands.js';
import {
  COMMAND,
  commandFrame,
  cutAt,
  frame,
  greetingOf,
  message,
  MORE,
  property,
  ready,
  Recorded,
} from './wire.js';

function shaken(own: SocketType, peer: string, minor = 1): Recorded {
  const recorded = new Recorded(undefined, own);
  recorded.receive(greetingOf({ minor }), ready(property('Socket-Type', peer)));
  recorded.sent();
  return recorded;
}

describe('the sockets of publish-subscribe (29/PUBSUB)', () => {
  it.each<[SocketType, string]>([
    ['PUB', 'SUB'],
    ['PUB', 'XSUB'],
    ['SUB', 'PUB'],
    ['SUB', 'XPUB'],
  ])('%s talks to %s', (own, peer) => expect(shaken(own, peer).told).toEqual([`ready ${peer}`]));

  it.each<[SocketType, string]>([
    ['PUB', 'PUB'],
    ['PUB', 'DEALER'],
    ['SUB', 'XSUB'],
    ['SUB', 'ROUTER'],
    ['DEALER', 'PUB'],
  ])('%s does not talk to %s', (own, peer) => {
    expect(shaken(own, peer).failure).toBe(`failed handshake: a ${own} does not talk to a ${peer}`);
  });
});

describe('SUBSCRIBE and CANCEL (37/ZMTP)', () => {
  it('are reported to a publisher with their topic, in order with messages', () => {
    const bytes = Buffer.concat([
      ...[commandFrame('SUBSCRIBE', 'a\0b'), message('\x01c'), commandFrame('CANCEL', 'a\0b')],
      ...[commandFrame('SUBSCRIBE'), message('\x00c')],
    ]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const recorded = shaken('PUB', 'SUB').receive(...cutAt(bytes, [cut]));
      expect(recorded.told.slice(1)).toEqual([
        ...['subscribe a\0b', 'message', 'cancel a\0b', 'subscribe ', 'message'],
      ]);
      expect(recorded.messages).toEqual([['\x01c'], ['\x00c']]);
    }
  });

  it('are as many in a second as a subscriber has topics; other commands are not', () => {
    const recorded = shaken('PUB', 'SUB');
    for (let index = 0; index < 10_000; index++) {
      recorded.receive(commandFrame('SUBSCRIBE', String(index)));
    }
    expect(recorded.told).toHaveLength(10_001);
    for (let index = 0; index < 201; index++) recorded.receive(commandFrame('PONG'));
    expect(recorded.failure).toBe('failed protocol: too many commands in a second');
  });

  it('between the frames of a message come once', () => {
    const bytes = Buffer.concat([
      ...[frame(MORE, 'head'), commandFrame('SUBSCRIBE', 'x'), frame(0, 'body')],
    ]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const recorded = shaken('PUB', 'SUB').receive(...cutAt(bytes, [cut]));
      expect(recorded.told.slice(1)).toEqual(['subscribe x', 'message']);
    }
  });

  it('mean nothing to a ROUTER, which allows as many as of any command', () => {
    const recorded = Recorded.shaken().receive(commandFrame('SUBSCRIBE', 'x'));
    expect(recorded.told).toEqual(['ready DEALER']);
    for (let index = 0; index < 200; index++) recorded.receive(commandFrame('CANCEL', 'x'));
    expect(recorded.failure).toBe('failed protocol: too many commands in a second');
  });
});

describe('a SUB', () => {
  it('subscribes by commands at a publisher of ZMTP 3.1', () => {
    const { connection } = shaken('SUB', 'PUB', 1);
    connection.subscribe(Buffer.from('abc'), true);
    connection.subscribe(Buffer.from(''), false);
    const [subscribe, cancel] = ['\x09SUBSCRIBEabc', '\x06CANCEL'];
    expect(Buffer.concat(connection.output.take().views)).toEqual(
      Buffer.concat([frame(COMMAND, subscribe), frame(COMMAND, cancel)]),
    );
  });

  it('subscribes by messages at a publisher of ZMTP 3.0', () => {
    const { connection } = shaken('SUB', 'XPUB', 0);
    connection.subscribe(Buffer.from('abc'), true);
    connection.subscribe(Buffer.from('abc'), false);
    expect(Buffer.concat(connection.output.take().views)).toEqual(
      Buffer.concat([message('\x01abc'), message('\x00abc')]),
    );
  });
});
