/** `Publisher` and `Subscriber` with sockets of libzmq, which speak ZMTP 3.1. */
import { codeOf } from '../../src/core/errors.js';
import { encodeZ85 } from '../../src/core/z85.js';
import { Publisher, Subscriber, type SubscriberOptions } from '../../src/sdk/stream.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';
import { killPrograms, type Program, python } from './support/program.js';

const TOOL = 'python3-zmq';
const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
  await killPrograms();
});

async function publisherOf(
  curve?: ConstructorParameters<typeof Publisher>[0]['curve'],
): Promise<[Publisher, string]> {
  const listen = 'tcp://127.0.0.1:0';
  const publisher = new Publisher(curve === undefined ? { listen } : { listen, curve });
  open.push(() => publisher.close({ graceMs: 0 }));
  const [endpoint = ''] = await publisher.open();
  return [publisher, endpoint];
}

function subscriberOf(endpoints: string, options: Partial<SubscriberOptions> = {}): Subscriber {
  const subscriber = new Subscriber({ endpoints, stamp: false, ...options });
  open.push(() => subscriber.close());
  return subscriber;
}

async function textsOf(subscriber: Subscriber, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of subscriber) {
    texts.push([message.topic, ...message.frames].map(String).join(' '));
    if (texts.length === count) break;
  }
  return texts;
}

async function listening(program: Program): Promise<string> {
  return String((await program.waitFor('listens'))['endpoint']);
}

const SUBSCRIBER_TYPES = ['SUB', 'XSUB'] as const;

describe('a Publisher', () => {
  for (const type of SUBSCRIBER_TYPES) {
    itWithTool(TOOL, `serves a ${type} of libzmq, which subscribes and cancels`, async () => {
      const [publisher, endpoint] = await publisherOf();
      const program = python('subscriber', endpoint, '--type', type, '--topics', 'a,b');
      await until(() => publisher.hasSubscribers('b'), 'its subscriptions');
      publisher.publish('ab', ['one', '']);
      publisher.publish('c', 'never');
      publisher.publish('b', 'x'.repeat(300));
      await program.waitFor('message', 2);
      program.tell('+c');
      program.tell('-a');
      await until(() => publisher.hasSubscribers('c') && !publisher.hasSubscribers('a'), 'changes');
      publisher.publish('a', 'never');
      publisher.publish('c', 'last');
      await program.waitFor('message', 3);
      expect(program.said('message')).toMatchObject([
        { topic: 'ab', number: 1, body: ['one', ''] },
        { topic: 'b', number: 3, body: ['x'.repeat(300)] },
        { topic: 'c', number: 5, body: ['last'] },
      ]);
      const [first] = program.said('message');
      expect(Math.abs(Number(first?.['us']) / 1000 - Date.now())).toBeLessThan(60_000);
      await program.kill();
      await until(() => publisher.counters.subscribers === 0, 'it is gone');
    });
  }

  itWithTool(TOOL, 'serves a SUB of libzmq with CURVE', async () => {
    const sodium = await loadSodium();
    const [server, client] = [sodium.keyPair(), sodium.keyPair()];
    const [publisher, endpoint] = await publisherOf({ secretKey: server.secretKey, allow: 'any' });
    const keys = [
      `--server-key=${encodeZ85(server.publicKey)}`,
      `--public-key=${encodeZ85(client.publicKey)}`,
      `--secret-key=${encodeZ85(client.secretKey)}`,
    ];
    const program = python('subscriber', endpoint, '--topics', 'a', ...keys);
    await until(() => publisher.hasSubscribers('a'), 'its subscription');
    publisher.publish('ab', ['sealed', 'y'.repeat(1000)]);
    expect(await program.waitFor('message')).toMatchObject({
      topic: 'ab',
      body: ['sealed', 'y'.repeat(1000)],
    });
  });
});

describe('a Subscriber', () => {
  for (const type of ['PUB', 'XPUB'] as const) {
    itWithTool(TOOL, `reads a ${type} of libzmq`, async () => {
      const program = python('publisher', '--type', type);
      const subscriber = subscriberOf(await listening(program), { topics: ['a', 'b'] });
      await new Promise((resolve) => subscriber.on('connected', resolve));
      if (type === 'XPUB') await program.waitFor('subscribed', 2);
      const sending = setInterval(() => {
        for (const line of ['ab one two', 'c never', 'b three']) program.tell(line);
      }, 20);
      const [first, second] = await textsOf(subscriber, 2);
      clearInterval(sending);
      expect([first, second].sort()).toEqual(['ab one two', 'b three']);
      if (type === 'XPUB') {
        expect(program.said('subscribed').map(({ topic }) => topic)).toEqual(['a', 'b']);
        await program.waitFor('cancelled', 2);
      }
    });
  }

  itWithTool(TOOL, 'reads an XPUB of libzmq with CURVE', async () => {
    const sodium = await loadSodium();
    const [server, client] = [sodium.keyPair(), sodium.keyPair()];
    const program = python('publisher', `--secret-key=${encodeZ85(server.secretKey)}`);
    const curve = { serverKey: encodeZ85(server.publicKey), ...client };
    const subscriber = subscriberOf(await listening(program), { topics: 'a', curve });
    await program.waitFor('subscribed');
    program.tell('ab sealed');
    expect(await textsOf(subscriber, 1)).toEqual(['ab sealed']);
  });

  itWithTool(TOOL, 'says that a publisher of libzmq has no header of ours', async () => {
    const program = python('publisher');
    const subscriber = new Subscriber({ endpoints: await listening(program) });
    open.push(() => subscriber.close());
    await program.waitFor('subscribed');
    program.tell('ab one two');
    const error: unknown = await textsOf(subscriber, 1).catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('ERR_STREAM_HEADER');
  });
});
