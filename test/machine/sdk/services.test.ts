/** A worker with several services. */
import { setImmediate as turn } from 'node:timers/promises';

import type { Handler } from '../../../src/sdk/worker/handler.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { FakeNet, shown } from './fake-dial.js';

const A = 'tcp://a:1';
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function started(options: WorkerOptions): FakeNet {
  const net = new FakeNet();
  const worker = new Worker({ endpoints: A, name: '', dial: net.dial, ...options });
  closing.push(() => worker.close({ graceMs: 0 }));
  void worker.run();
  return net;
}

describe('a worker with several services', () => {
  it('registers each over a connection of its own (MDP: one READY)', () => {
    const net = started({ services: { one: () => '1', two: () => '2' } });
    for (const link of net.links) link.joins();
    expect(net.links.map((link) => shown(link.written()).at(-2))).toEqual([
      'MDPW02|\\x01|one',
      'MDPW02|\\x01|two',
    ]);
  });

  it('gives each request to the handler of its service', async () => {
    const net = started({
      services: { one: ({ service }) => `1 ${service}`, two: ({ service }) => `2 ${service}` },
    });
    for (const link of net.links) {
      link.joins();
      link.written();
      link.says('MDPW02', '\x02', 'token', '', 'hi');
    }
    await turn();
    expect(net.links.map((link) => shown(link.written()).at(-1))).toEqual([
      'MDPW02|\\x04|token||1 one',
      'MDPW02|\\x04|token||2 two',
    ]);
  });

  /** How many requests run when each service gets three. */
  async function running(concurrency: WorkerOptions['concurrency']): Promise<[number, number]> {
    const count: [number, number] = [0, 0];
    const waiting = (index: 0 | 1): Handler => {
      return () => {
        count[index]++;
        return new Promise(() => undefined);
      };
    };
    const services = { one: waiting(0), two: waiting(1) };
    const net = started(concurrency === undefined ? { services } : { services, concurrency });
    for (const link of net.links) {
      link.events.connected();
      link.says('', 'MDPC02', '\x03', 'mmi.broker', '200', '{"extensions":["credit"]}');
      for (const token of 'abc') link.says('MDPW02', '\x02', token, '', 'hi');
    }
    await turn();
    return count;
  }

  it('has one concurrency for all of them, or one for each', async () => {
    expect(await running(undefined)).toEqual([1, 0]);
    expect(await running(4)).toEqual([3, 1]);
    expect(await running({ one: 2, two: 3 })).toEqual([2, 3]);
    expect(await running({ one: 2 })).toEqual([2, 1]);
  });

  const handler = (): string => 'x';
  const bad: [object, unknown, string][] = [
    [{ services: {} }, undefined, 'services'],
    [{ services: [handler], service: 'x' }, undefined, 'services'],
    [{ services: 'echo' }, undefined, 'services'],
    [{ services: { echo: handler } }, handler, 'handler'],
    [{ services: { echo: 'handler' } }, undefined, "services['echo']"],
    [{ services: { '': handler } }, undefined, 'service'],
    [{ services: { echo: handler }, concurrency: { eco: 1 } }, undefined, "concurrency['eco']"],
    [{ services: { echo: handler }, concurrency: { echo: 0 } }, undefined, "concurrency['echo']"],
    [{ services: { echo: handler }, concurrency: null }, undefined, 'concurrency'],
    [{ service: 'echo' }, undefined, 'handler'],
    [{}, handler, 'service'],
  ];
  it.each(bad)('%j is ERR_MDP_OPTION (handler: %p), and names %s', (options, given, option) => {
    expect(() => new Worker({ endpoints: A, ...options }, given as Handler)).toThrow(
      expect.objectContaining({ code: 'ERR_MDP_OPTION', details: { option } }),
    );
  });
});
