import { codeOf, detailsOf } from '../../../src/core/errors.js';
import { Publisher, Subscriber, type SubscriberOptions } from '../../../src/sdk/stream.js';
import { until } from '../../support/until.js';

const open: (() => unknown)[] = [];
let publisher: Publisher;
let endpoint: string;
/** What the handlers told. */
let told: string[];

/** A handler module; `tell(text)` in it is heard here. */
function moduleOf(code: string): string {
  const head = `const channel = new BroadcastChannel('majordomo-shards'); channel.unref();
    const tell = (text) => channel.postMessage(text);`;
  return `data:text/javascript,${encodeURIComponent(head + code)}`;
}

const ECHO = moduleOf(
  `export default (message, { shard }) => {
    tell(shard + ' ' + message.topic + ' ' + message.text() + ' ' + message.number);
  };`,
);

function subscriberOf(options: Partial<SubscriberOptions>): Subscriber {
  const subscriber = new Subscriber({ endpoints: endpoint, shards: [['a'], ['b']], ...options });
  open.push(() => subscriber.close({ graceMs: 1000 }));
  return subscriber;
}

async function connected(): Promise<void> {
  await until(() => publisher.counters.subscribers === 2, 'two shards');
  await until(() => ['a', 'b'].every((topic) => publisher.hasSubscribers(topic)), 'their topics');
}

async function failureOf(run: Promise<void>): Promise<unknown> {
  return run.then(
    () => null,
    (error: unknown) => error,
  );
}

beforeEach(async () => {
  told = [];
  const channel = new BroadcastChannel('majordomo-shards');
  channel.onmessage = (event): void => {
    told.push(String((event as { readonly data: unknown }).data));
  };
  publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });
  [endpoint = ''] = await publisher.open();
  open.push(() => publisher.close({ graceMs: 0 }));
  open.push(() => channel.close());
});

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe('shards (D45)', () => {
  it('get their part only, each in order, in threads of their own', async () => {
    const subscriber = subscriberOf({ handler: ECHO });
    const events: unknown[] = [];
    subscriber.on('connected', (event) => events.push(event));
    const run = subscriber.run();
    await connected();
    for (const [topic, text] of [
      ...[
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
        ['aa', '4'],
        ['bb', '5'],
        ['a', '6'],
      ],
    ] as const) {
      publisher.publish(topic, text);
    }
    await until(() => told.length === 5, 'five messages');
    const of = (shard: string): string[] => told.filter((line) => line.startsWith(shard));
    expect(of('0')).toEqual(['0 a 1 1', '0 aa 4 4', '0 a 6 6']);
    expect(of('1')).toEqual(['1 b 2 2', '1 bb 5 5']);
    expect(publisher.counters.copies).toBe(5);
    expect(events).toHaveLength(2);
    expect(events).toContainEqual({ endpoint, shard: 1 });
    await subscriber.close();
    await run;
    await until(() => publisher.counters.subscribers === 0, 'no subscriber');
  });

  it('finish the message that they are at when the subscriber is closed', async () => {
    const handler = moduleOf(
      `export default async (message) => {
        tell('begun');
        await new Promise((resolve) => setTimeout(resolve, 100));
        tell('done');
      };`,
    );
    const subscriber = subscriberOf({ handler });
    const run = subscriber.run();
    await connected();
    publisher.publish('a', '1');
    publisher.publish('a', '2');
    await until(() => told.length === 1, 'begun');
    await subscriber.close();
    await run;
    await until(() => told.length === 2, 'done');
    expect(told).toEqual(['begun', 'done']);
  });

  it.each([
    ['throws', `export default () => { throw new Error('no more'); };`, /^shard 1: no more$/],
    ['ends its thread', `export default () => process.exit(3);`, /^shard 1: .* status 3$/],
  ])('end the subscriber if the handler of one %s', async (_, code, text) => {
    const subscriber = subscriberOf({ handler: moduleOf(code) });
    const failure = failureOf(subscriber.run());
    await connected();
    publisher.publish('b', '1');
    const error = await failure;
    expect([codeOf(error), detailsOf(error)['shard']]).toEqual(['ERR_STREAM_SHARD', 1]);
    expect((error as Error).message).toMatch(text);
    await until(() => publisher.counters.subscribers === 0, 'the other one is gone, too');
  });

  it.each([
    ['does not resolve', `export default () => new Promise(() => undefined);`],
    ['computes without a pause', `export default () => { for (;;); };`],
  ])('end the subscriber if the handler of one %s (D44)', async (_, code) => {
    const subscriber = subscriberOf({ handler: moduleOf(code), maxDelayMs: 100 });
    const failure = failureOf(subscriber.run());
    await connected();
    publisher.publish('a', '1');
    publisher.publish('a', '2');
    const error = await failure;
    expect([codeOf(error), detailsOf(error)['shard']]).toEqual(['ERR_STREAM_TOO_SLOW', 0]);
    await until(() => publisher.counters.subscribers === 0, 'all are gone');
  });

  it('read foreign publishers by the stamp that their module exports', async () => {
    const handler = moduleOf(
      `export const stamp = (frames) => Number(frames[2]);
      export default (message) => tell(message.topic + ' ' + message.frames.length);`,
    );
    const subscriber = subscriberOf({ handler });
    const failure = failureOf(subscriber.run());
    await connected();
    // The header of a Publisher stands where the body begins; its third frame is the stamp.
    publisher.publish('a', '1700000000000');
    publisher.publish('a', 'no number');
    const error = await failure;
    expect([codeOf(error), detailsOf(error)['option']]).toEqual(['ERR_MDP_OPTION', 'stamp']);
    await until(() => told.length === 1, 'the first message');
    expect(told).toEqual(['a 2']);
  });

  it.each([
    ['is not there', 'file:///nowhere/handler.js', 'ERR_STREAM_SHARD'],
    ['exports no function', moduleOf('export const handler = 1;'), 'ERR_MDP_OPTION'],
  ])('end the subscriber if the handler module %s', async (_, handler, code) => {
    const error = await failureOf(subscriberOf({ handler }).run());
    expect(codeOf(error)).toBe(code);
  });

  it('end with an abort', async () => {
    const controller = new AbortController();
    const failure = failureOf(subscriberOf({ handler: ECHO, signal: controller.signal }).run());
    await connected();
    controller.abort();
    expect(codeOf(await failure)).toBe('ERR_MDP_ABORTED');
  });

  it.each<[string, Partial<SubscriberOptions>, RegExp]>([
    ['equal topics', { shards: [['a'], ['b', 'a']] }, /shards\[1\] has "a", which begins with "a"/],
    ['a prefix', { shards: [['ab'], ['b', 'a']] }, /shards\[0\] has "ab", which begins with "a"/],
    ['everything', { shards: [['a'], ['']] }, /begins with ""/],
    [
      'a prefix some topics before',
      { shards: [['a', 'abc'], ['ab']] },
      /shards\[1\] has "ab", which begins with "a" of shards\[0\]/,
    ],
    ['no topics', { shards: [['a'], []] }, /shards\[1\]/],
    ['no shards', { shards: [] }, /shards/],
    ['topics beside them', { topics: 'a' }, /topics/],
    ['a stamp that is a function', { stamp: () => 1 }, /stamp/],
  ])('with %s are refused', (_, options, text) => {
    expect(
      () => new Subscriber({ endpoints: endpoint, shards: [['a']], handler: ECHO, ...options }),
    ).toThrow(text);
  });

  it('need a handler, and are not iterated', () => {
    expect(() => new Subscriber({ endpoints: endpoint, shards: [['a']] })).toThrow(/handler/);
    expect(() => new Subscriber({ endpoints: endpoint, handler: ECHO })).toThrow(/handler/);
    expect(() => subscriberOf({ handler: ECHO })[Symbol.asyncIterator]()).toThrow(/shards/);
  });
});
