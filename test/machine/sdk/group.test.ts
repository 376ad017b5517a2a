/** A request of a group: what the client sends, and to whom (D118). */
import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import { FreelanceClient } from '../../../src/sdk/freelance-client.js';
import type { RequestOptions } from '../../../src/sdk/request-options.js';
import { FakeNet } from './fake-dial.js';
import { PirateScript } from './pirate-script.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

const ALL = ['headers', 'options', 'group'];

interface Stand {
  readonly client: Client;
  /** Asks, and gives the frames from the header on; `null`: nothing was sent. */
  readonly asked: (options: RequestOptions) => readonly Buffer[] | null;
}

function clientOf(options: Partial<ClientOptions> = {}, extensions = ALL): Stand {
  const net = new FakeNet();
  const client = new Client({ endpoints: ['tcp://a:1'], dial: net.dial, ...options });
  closing.push(() => client.close());
  net.link.events.connected();
  const offers = JSON.stringify({ extensions });
  net.link.says(Buffer.alloc(5), '', 'MDPC02', '\x03', 'mmi.broker', '200', offers);
  net.link.written();
  const asked: Stand['asked'] = (given) => {
    void client.request('echo', 'x', given).catch(() => undefined);
    return net.link.written()[0]?.slice(2) ?? null;
  };
  return { client, asked };
}

const command = (frames: readonly Buffer[] | null): number | undefined => frames?.[1]?.[0];

describe('a request with a group', () => {
  it('has it in the frame after the options, which are empty, or name what else it wants', () => {
    const { asked } = clientOf();
    const frames = asked({ group: 'Gerät 7', headers: { a: 'b' } }) ?? [];
    expect(command(frames)).toBe(5);
    const [, , service, options, group, deadline, headers, body] = frames;
    expect([service, options, group, headers, body].map(String)).toEqual([
      ...['echo', '', 'Gerät 7', '{"a":"b"}', 'x'],
    ]);
    expect(Number(deadline)).toBeGreaterThan(9000);
    const both = asked({ group: 'a', once: true }) ?? [];
    expect([both[3], both[4], both[6]].map(String)).toEqual(['{"once":true}', 'a', '']);
  });

  it('leaves the bytes of all others as they are', () => {
    const { asked } = clientOf();
    expect(command(asked({}))).toBe(1);
    expect(command(asked({ headers: {} }))).toBe(4);
    expect(asked({ once: true })?.[4]).toEqual(Buffer.alloc(0));
    expect(asked({ group: undefined })).toHaveLength(4);
  });

  it('is a streamed one, too', async () => {
    const { client } = clientOf({}, ['headers', 'options']);
    const parts = client.stream('echo', '', { group: 'a' });
    await expect(parts.next()).rejects.toMatchObject({ code: 'ERR_MDP_UNSUPPORTED' });
  });

  it.each([[['headers', 'options']], [['headers']], [[]], [['headers', 'group']]])(
    'is not sent to a broker that offers only %j',
    async (extensions) => {
      const { client, asked } = clientOf({}, extensions);
      expect(asked({ group: 'a' })).toBeNull();
      await expect(client.request('echo', '', { group: 'a', once: true })).rejects.toMatchObject({
        code: 'ERR_MDP_UNSUPPORTED',
        message: "the broker does not support group: the request to 'echo' was not sent",
      });
    },
  );

  it('waits until the broker, or one of several, has said what it takes', () => {
    const group = { group: 'a' };
    const script = new PirateScript().connect().ask('a', group);
    expect(script.effects).not.toContain('0 send a #1 on 1');
    expect(script.broker(0).effects).toEqual(['0 send a #1 on 1']);
    const several = new PirateScript({ endpoints: 2, freelance: {} }).connect(1).connect(2);
    several.ask('a', group).broker(0, false, 1);
    expect(several.broker(0, true, 2).effects).toContain('0 send a #1 on 2');
  });

  it('is sent again like any other', () => {
    const script = new PirateScript().connect().broker(0).ask('a', { group: 'a' }).cut();
    expect(script.pass(100).connect().broker(0).effects.at(-1)).toBe('100 send a #2 on 2');
  });
});

describe('the option group', () => {
  it.each<[unknown, Partial<ClientOptions>, string]>([
    ['', {}, 'must be a string of valid Unicode, 1 to 255 bytes in UTF-8'],
    ['ä'.repeat(128), {}, '1 to 255 bytes'],
    ['\ud800', {}, 'valid Unicode'],
    [7, {}, 'must be a string'],
    [null, {}, 'must be a string'],
    ['a', { protocol: '0.1' }, "group needs protocol '0.2' and envelope: true"],
    ['a', { envelope: false }, "group needs protocol '0.2' and envelope: true"],
  ])('refuses %j with %j', async (group, options, says) => {
    const { client } = clientOf(options);
    const given = { group } as RequestOptions;
    for (const asked of [
      () => client.request('echo', '', given),
      async () => await client.stream('echo', '', given).next(),
    ]) {
      await expect(asked()).rejects.toMatchObject({
        code: 'ERR_MDP_OPTION',
        message: expect.stringContaining(says),
      });
    }
  });

  it('is of 255 bytes at most', () => {
    const longest = 'ä'.repeat(127) + 'b';
    expect(String(clientOf().asked({ group: longest })?.[4])).toBe(longest);
  });

  it('is not for questions to the broker, nor for servers of 10/FLP', async () => {
    const { client } = clientOf();
    const freelance = new FreelanceClient({ endpoints: 'tcp://a:1', dial: new FakeNet().dial });
    closing.push(() => freelance.close());
    for (const asked of [
      () => client.request('mmi.service', 'echo', { group: 'a' }),
      () => client.request('titanic.reply', '', { group: 'a' }),
      () => freelance.request('', { group: 'a' } as object),
    ]) {
      await expect(asked()).rejects.toMatchObject({
        code: 'ERR_MDP_OPTION',
        message: expect.stringContaining('group'),
      });
    }
  });
});
