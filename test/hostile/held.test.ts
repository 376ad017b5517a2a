/**
 * Strangers that come, send and leave in odd ways, by the dice: when all are gone, the broker holds
 * nothing for anybody. So a program that fuzzes its sockets finds memory that was counted and not given
 * back.
 */
import { HELD_KINDS } from '../../src/core/holdings.js';
import { Dice } from '../fuzz/dice.js';
import { cleanUp } from '../process/broker/support.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { MetricsPage } from '../support/metrics.js';
import { destroySockets, RawSocket } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { DEALER, greetingOf, message, property, ready } from '../unit/zmtp/wire.js';

const STRANGERS = 150;
const AT_ONCE = 30;
const LARGE = 7_000_000;

type Ending = (socket: RawSocket['socket']) => void;
const ENDINGS: readonly Ending[] = [
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.destroy(),
  (socket) => socket.end(),
];

/** What a stranger sends: all of it or, *cut*, only its beginning. */
interface Act {
  readonly bytes: Buffer;
  readonly cut?: boolean;
  /** It does not read. */
  readonly isDeaf?: boolean;
}

class Crowd {
  readonly #dice: Dice;
  readonly #open: RawSocket[] = [];
  readonly #endpoint: string;

  constructor(endpoint: string, seed: number) {
    this.#endpoint = endpoint;
    this.#dice = new Dice(seed);
  }

  async come(): Promise<void> {
    const { bytes, cut = false, isDeaf = false } = this.#act();
    const localAddress = `127.0.0.${1 + this.#dice.below(4)}`;
    const stranger = await new RawSocket(this.#endpoint, { localAddress }).connected();
    if (isDeaf) stranger.socket.pause();
    stranger.write(cut ? bytes.subarray(0, this.#dice.below(bytes.length)) : bytes);
    this.#open.push(stranger);
    if (this.#dice.below(3) === 0) {
      await until(
        () => stranger.received.length > 0 || isDeaf || cut || stranger.isClosed,
        'a word',
      );
    }
    while (this.#open.length > AT_ONCE) await this.#oneLeaves();
  }

  async leave(): Promise<void> {
    while (this.#open.length > 0) await this.#oneLeaves();
  }

  async #oneLeaves(): Promise<void> {
    const [stranger] = this.#open.splice(this.#dice.below(this.#open.length), 1);
    if (stranger === undefined) return;
    this.#dice.pick(ENDINGS)(stranger.socket);
    // Without a reader its end would not be noticed.
    stranger.socket.resume();
    await stranger.closed();
  }

  #act(): Act {
    const dice = this.#dice;
    const id = dice.below(2) === 0 ? '' : `id ${dice.below(9)}`;
    const properties = [property('Socket-Type', 'DEALER'), property('Identity', id)];
    const hands = Buffer.concat([greetingOf(), ready(...properties)]);
    const says = (...messages: readonly Buffer[]): Buffer => Buffer.concat([hands, ...messages]);
    const request = (size: number): Buffer => message('', 'MDPC01', 'echo', Buffer.alloc(size));
    const many = (count: number, make: () => Buffer): Buffer[] =>
      Array.from({ length: count }, make);
    const acts: readonly (() => Act)[] = [
      () => ({ bytes: Buffer.concat([greetingOf(), DEALER]), cut: true }),
      () => ({
        bytes: Buffer.from(many(40, () => Buffer.of(dice.below(256))).map(([byte = 0]) => byte)),
      }),
      () => ({ bytes: says(request(dice.below(LARGE))), cut: true }),
      () => ({ bytes: says(request(LARGE - dice.below(1_000_000))) }),
      () => ({ bytes: says(...many(5, () => request(dice.below(100_000)))) }),
      () => ({
        bytes: says(...many(500, () => message('', 'MDPC01', 'mmi.services'))),
        isDeaf: true,
      }),
      () => ({ bytes: says(message('', 'MDPC01', 'mmi.hello'), request(dice.below(100_000))) }),
      () => ({ bytes: says(message('', 'MDPW01', '\x01', 'echo')), isDeaf: dice.below(2) === 0 }),
      () => ({ bytes: says(message('', 'MDPW01', '\x01', 'echo', '20')) }),
      () => ({ bytes: says(message('MDPW02', '\x01', 'echo'), message('MDPW02', '\x09')) }),
      () => ({ bytes: says(message('', 'MDPC01', 'titanic.request', 'echo', Buffer.alloc(9000))) }),
    ];
    return dice.pick(acts)();
  }
}

const HTTP = 'memory_held_bytes{kind="http"}';

async function held(daemon: Daemon): Promise<Record<string, number>> {
  const { http } = await daemon.waitFor('broker.ready');
  const page = new MetricsPage(await (await fetch(`${String(http)}/metrics`)).text());
  const samples = page.samples.filter((sample) => sample.startsWith('majordomo_memory_held_bytes'));
  const named = samples.map((sample) => sample.slice('majordomo_'.length));
  // The connection that asks counts, too.
  const own = page.value(HTTP) ?? NaN;
  return Object.fromEntries(
    named.map((name) => {
      const isOwn = name === HTTP || name === 'memory_held_bytes';
      return [name, (page.value(name) ?? NaN) - (isOwn ? own : 0)];
    }),
  );
}

describe('all are gone', () => {
  afterEach(() => destroySockets());
  afterEach(cleanUp);

  it.each([1, 2])('and nothing is held, whatever they did (seed %i)', async (seed) => {
    const sets = [
      'http.listen=127.0.0.1:0',
      'limits.memoryBytes=16MiB',
      'broker.requestTtlMs=1000',
    ];
    const daemon = await startDaemon({ sets });
    const crowd = new Crowd(daemon.endpoint, seed);
    let most = 0;
    for (let count = 0; count < STRANGERS; count++) {
      await crowd.come();
      if (count % 20 === 0) most = Math.max(most, (await held(daemon))['memory_held_bytes'] ?? 0);
    }
    expect(most).toBeGreaterThan(1_000_000);
    await crowd.leave();
    let last: Record<string, number> = {};
    await until(
      async () => Object.values((last = await held(daemon))).every((bytes) => bytes === 0),
      () => `all to be given back: ${JSON.stringify(last)}`,
    );
    expect(Object.keys(last)).toHaveLength(1 + HELD_KINDS.length);
  });
});
