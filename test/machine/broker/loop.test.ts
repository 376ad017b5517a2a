/** The loop around a broker to which nothing comes: what it does for lack of memory (D77). */
import type { Broker } from '../../../src/broker/broker.js';
import { BrokerLoop } from '../../../src/broker/io/loop.js';
import { Holdings, type MemoryAccount } from '../../../src/core/holdings.js';
import type { Closing, Transport } from '../../../src/zmtp/port.js';
import { until } from '../../support/until.js';

const LIMIT = 1000;
const loops: BrokerLoop[] = [];

afterEach(() => {
  for (const loop of loops.splice(0)) loop.stop();
});

/** Connections with incomplete messages, and others that have stalled with output. */
class Stage {
  readonly holdings = new Holdings(LIMIT);
  readonly loop: BrokerLoop;
  turns = 0;
  /** `greedy 200 incomplete` for each that was closed, in order. */
  readonly closed: string[] = [];
  readonly #accounts = new Map<string, MemoryAccount>();
  readonly #messages = new Map<string, number[]>();
  readonly #unread = new Map<string, number[]>();

  constructor() {
    const broker: Partial<Broker> = {
      begin: () => undefined,
      run: () => {
        this.turns++;
        return false;
      },
      nextRunAt: () => Infinity,
    };
    const transport: Partial<Transport> = {
      flush: () => undefined,
      closeLargest: (identity, closing) => this.#closeLargest(identity, closing),
    };
    this.loop = new BrokerLoop(broker as Broker, this.holdings);
    this.loop.attach(transport as Transport);
    loops.push(this.loop);
  }

  account(identity: string): MemoryAccount {
    const account = this.#accounts.get(identity) ?? this.holdings.use(identity);
    this.#accounts.set(identity, account);
    return account;
  }

  /** A part of a message arrives. */
  part(identity: string, bytes: number): void {
    const messages = this.#messages.get(identity) ?? [];
    messages.push(bytes);
    this.#messages.set(identity, messages);
    this.account(identity).add('input', bytes);
    this.loop.receiving();
  }

  /** A connection has read nothing of so much for a second. */
  stall(identity: string, bytes: number): void {
    this.#unread.set(identity, [...(this.#unread.get(identity) ?? []), bytes]);
    this.account(identity).add('output', bytes);
  }

  #closeLargest(identity: string, { which }: Closing): boolean {
    if (which !== 'incomplete' && which !== 'stalled') return false;
    const held = which === 'incomplete' ? this.#messages : this.#unread;
    const bytes = held
      .get(identity)
      ?.sort((one, other) => one - other)
      .pop();
    if (bytes === undefined) return false;
    this.account(identity).add(which === 'incomplete' ? 'input' : 'output', -bytes);
    this.closed.push(`${identity} ${bytes} ${which}`);
    return true;
  }
}

describe('parts of messages', () => {
  it('over the limit close the largest of whoever has most, at once, down to below the limit', () => {
    const stage = new Stage();
    stage.part('quiet', 100);
    for (const bytes of [200, 300, 100, 250]) stage.part('greedy', bytes);
    expect([stage.closed, stage.holdings.bytes]).toEqual([[], 950]);
    stage.part('greedy', 60);
    expect(stage.closed).toEqual(['greedy 300 incomplete']);
    expect(stage.holdings.bytes).toBeLessThan(LIMIT * 0.875);
    expect(stage.account('quiet').mayHold(100)).toBe(true);
    expect(stage.turns).toBe(0);
  });

  it('close one as soon as there is little room left for the requests of others', () => {
    const stage = new Stage();
    for (const bytes of [400, 300, 260]) stage.part('greedy', bytes);
    expect(stage.closed).toEqual([]);
    stage.part('greedy', 10);
    expect(stage.closed).toEqual(['greedy 400 incomplete']);
  });

  it('close those first that have stalled with unread output', () => {
    const stage = new Stage();
    stage.part('quiet', 20);
    for (const bytes of [300, 350, 250]) stage.stall('deaf', bytes);
    stage.part('quiet', 200);
    expect(stage.closed).toEqual(['deaf 350 stalled']);
  });

  it('leave those of a client alone whose accepted requests use the memory', () => {
    const stage = new Stage();
    stage.account('busy').add('requests', LIMIT);
    stage.part('busy', 60);
    expect(stage.closed).toEqual([]);
    stage.part('greedy', 40);
    expect(stage.closed).toEqual(['busy 60 incomplete']);
  });

  it('over the limit are looked at again, because some may have stalled', async () => {
    const stage = new Stage();
    stage.account('busy').add('requests', 2 * LIMIT);
    stage.part('busy', 10);
    const { turns } = stage;
    await until(() => stage.turns > turns + 2, 'turns without a reason');
  });

  it('begin no turn, except over the limit, where others may have to be closed, too', async () => {
    const stage = new Stage();
    const { turns } = stage;
    stage.part('one', 900);
    await new Promise(setImmediate);
    expect(stage.turns).toBe(turns + 1);
    stage.part('one', 50);
    await new Promise(setImmediate);
    expect(stage.turns).toBe(turns + 1);
    stage.part('one', 100);
    await new Promise(setImmediate);
    expect(stage.turns).toBe(turns + 2);
  });
});
