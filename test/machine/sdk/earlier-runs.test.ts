/** What a worker tells a broker that it runs, which that broker has not out at it (D118), and the groups of requests. */
import { setTimeout as pause } from 'node:timers/promises';

import { RUNS_BYTES_MAX } from '../../../src/wire/mdp.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { FakeNet, shown } from './fake-dial.js';

const [A, B] = ['tcp://a:1', 'tcp://b:1'];
const EXTENSIONS = ['credit', 'ready-options', 'headers', 'cancel', 'group'];
const ASKS = '\\x01|echo|2|{"headers":true,"cancel":true,"group":true}';

type FakeLink = FakeNet['link'];

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A worker whose handlers run until they are told, in order. */
class Stand {
  readonly net = new FakeNet();
  readonly groups: string[] = [];
  readonly close: (graceMs: number) => Promise<void>;
  readonly #ends: ((body: string) => void)[] = [];

  constructor(options: Partial<WorkerOptions>) {
    const worker = new Worker(
      {
        ...{ endpoints: [A], service: 'echo', name: '', dial: this.net.dial, concurrency: 2 },
        ...{ retryBaseMs: 1, retryMaxMs: 1, ...options },
      },
      (request) => {
        this.groups.push(request.group);
        return new Promise<string>((resolve) => this.#ends.push(resolve));
      },
    );
    this.close = (graceMs) => worker.close({ graceMs });
    closing.push(() => worker.close({ graceMs: 0 }));
    worker.on('lost', () => undefined);
    void worker.run();
  }

  /** The link, once it was dialled, to a broker with these extensions. */
  async link(which: number, extensions = EXTENSIONS): Promise<FakeLink> {
    while (this.net.links.length <= which) await pause(1);
    const link = this.net.links[which];
    if (link === undefined) throw new Error('it was dialled');
    link.events.connected();
    link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', JSON.stringify({ extensions }));
    return link;
  }

  async ends(): Promise<void> {
    this.#ends.shift()?.('ok');
    await pause(1);
  }
}

/** What was written to the broker as to one of a worker, but heartbeats. */
function said(link: FakeLink): string[] {
  const lines = shown(link.written()).filter((line) => line.startsWith('MDPW02|'));
  return lines.map((line) => line.slice('MDPW02|'.length)).filter((line) => line !== '\\x05');
}

function asks(link: FakeLink, token: string, group: string): void {
  link.says('MDPW02', '\x0b', token, '', group, '', '', 'hi');
}

describe('a worker', () => {
  it('asks for the groups of its requests, and has them as text', async () => {
    const stand = new Stand({});
    const link = await stand.link(0);
    expect(said(link)).toEqual([ASKS]);
    asks(link, 't1', 'é');
    link.says('MDPW02', '\x02', 't2', '', 'hi');
    expect(stand.groups).toEqual(['é', '']);
  });

  it('tells a broker that asks what others gave it, and the end of each', async () => {
    const stand = new Stand({ endpoints: [A, B], concurrency: 5 });
    const [a, b] = [await stand.link(0), await stand.link(1)];
    for (const [token, group] of ['x', 'y', 'x'].entries()) asks(a, `${token}`, group);
    asks(b, 't', 'x');
    said(b);
    b.says('MDPW02', '\x0c');
    expect(said(b)).toEqual(['\\x0c|echo|x|2|y|1']);
    b.says('MDPW02', '\x0c');
    expect(said(b)).toEqual([]);
    await stand.ends();
    expect(said(b)).toEqual(['\\x0c|echo|x|1']);
    await stand.ends();
    await stand.ends();
    expect(said(b)).toEqual(['\\x0c|echo|y|0', '\\x0c|echo|x|0']);
    expect(said(a).slice(1)).toHaveLength(3);
  });

  it('tells of its own accord what it runs of an earlier registration', async () => {
    const stand = new Stand({});
    const first = await stand.link(0);
    asks(first, 't1', 'x');
    first.events.disconnected();
    const second = await stand.link(1);
    expect(said(second)).toEqual([ASKS, '\\x0c|echo|x|1']);
    asks(second, 't2', 'x');
    await stand.ends();
    expect(said(second)).toEqual(['\\x0c|echo|x|0']);
    await stand.ends();
    expect(said(second)).toEqual(['\\x04|t2||ok']);
  });

  it('tells over the next connection again what it had told of others, if it still runs', async () => {
    const stand = new Stand({ endpoints: [A, B], concurrency: 5 });
    const [a, b] = [await stand.link(0), await stand.link(1)];
    for (const token of ['1', '2']) asks(a, token, 'x');
    b.says('MDPW02', '\x0c');
    expect(said(b)).toEqual([ASKS.replace('2', '5'), '\\x0c|echo|x|2']);
    await stand.ends();
    b.events.disconnected();
    const again = await stand.link(2);
    expect(said(again)).toEqual([ASKS.replace('2', '5'), '\\x0c|echo|x|1']);
    await stand.ends();
    expect(said(again)).toEqual(['\\x0c|echo|x|0']);
  });

  it('tells it also while it closes', async () => {
    const stand = new Stand({});
    const first = await stand.link(0);
    asks(first, 't1', 'x');
    const closed = stand.close(10_000);
    first.events.disconnected();
    const second = await stand.link(1);
    expect(said(second)).toEqual(['\\x0c|echo|x|1']);
    await stand.ends();
    expect(said(second)).toEqual(['\\x04|t1||ok']);
    await closed;
  });

  it('tells it before it registers, if it has no room', async () => {
    const stand = new Stand({ concurrency: 1 });
    const first = await stand.link(0);
    asks(first, 't1', 'x');
    first.events.disconnected();
    const second = await stand.link(1);
    expect(said(second)).toEqual(['\\x0c|echo|x|1']);
    await stand.ends();
    // In another order the broker could give it out again before it has the answer.
    expect(said(second)).toEqual(['\\x04|t1||ok', '\\x0c|echo|x|0']);
  });

  it('tells nothing to a broker that knows no groups', async () => {
    const stand = new Stand({});
    const first = await stand.link(0, ['credit', 'ready-options']);
    expect(said(first)).toEqual(['\\x01|echo|2']);
    first.says('MDPW02', '\x02', 't1', '', 'hi');
    first.events.disconnected();
    const second = await stand.link(1, ['credit', 'ready-options']);
    expect(said(second)).toHaveLength(1);
  });

  it('tells of many groups in messages of at most 1 KiB', async () => {
    const stand = new Stand({ concurrency: 100 });
    const first = await stand.link(0);
    for (let at = 0; at < 100; at++) asks(first, `t${at}`, `${at}`.padStart(99, '-'));
    first.events.disconnected();
    const second = await stand.link(1);
    const messages = second.written().filter(([, command]) => command?.[0] === 0x0c);
    const bytes = messages.map(([, , , ...rest]) => Buffer.concat(rest).length);
    expect(Math.max(...bytes)).toBeLessThanOrEqual(RUNS_BYTES_MAX);
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBe(100 * 100);
    expect(messages).toHaveLength(10);
  });
});
