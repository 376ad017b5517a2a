/** A broker whose memory is full of accepted work, and a worker that is slower than its credit. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import type { Frames } from '../../src/core/frames.js';
import type { Link } from '../../src/zmtp/link-port.js';
import { dialZmtp } from '../../src/zmtp/link.js';
import { RawPeer } from '../interop/support/raw-peer.js';
import { Attacker } from '../support/attacker.js';
import { frame, message } from '../unit/zmtp/wire.js';
import { destroySockets, RawSocket } from '../support/raw-socket.js';
import { type Daemon, removeDaemons, startDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';

const MIB = 1024 * 1024;
/** More than the sockets of both ends hold together. */
const LIMITS = { messageBytesMax: 16 * MIB, framesMax: 16, outputBytesMax: 1024 * MIB };

const REQUEST = 2;

/** A connection that reads all that comes, unless it is told not to. */
class Reader {
  readonly #link: Link;
  isReady = false;
  /** How often its connection ended. */
  losses = 0;

  /** @param from its own address */
  constructor(daemon: Daemon, received: (frames: Frames) => void, from = '127.0.0.1') {
    const endpoint = daemon.endpoint.replace('//', `//${from}:0;`);
    this.#link = dialZmtp({ limits: LIMITS })(endpoint, {
      connected: () => {
        this.isReady = true;
      },
      message: received,
      disconnected: () => {
        this.losses++;
      },
    });
    open.push(() => this.#link.close(0));
  }

  setReading(isReading: boolean): void {
    this.#link.setReading?.(isReading);
  }

  send(...frames: readonly (string | Buffer)[]): void {
    const last = frames.length - 1;
    for (const [index, frame] of frames.entries()) {
      const bytes = Buffer.from(frame);
      this.#link.write(bytes, 0, bytes.length, index < last);
    }
  }
}

/** Asks for hearing refusals, and counts what becomes of its requests. */
class Client {
  readonly #reader: Reader;
  readonly #body: Buffer;
  sent = 0;
  answered = 0;
  readonly refused = new Map<string, number>();
  #hellos = 0;

  static async of(daemon: Daemon, bodyBytes: number, from?: string): Promise<Client> {
    const client = new Client(daemon, bodyBytes, from);
    await client.hello();
    return client;
  }

  private constructor(daemon: Daemon, bodyBytes: number, from?: string) {
    this.#body = Buffer.alloc(bodyBytes, 'x');
    const received = (frames: Frames): void => {
      const service = String(frames.view(3));
      if (service === 'mmi.hello') this.#hellos++;
      else if (service === 'mmi.refused') this.#count(String(frames.view(4)));
      else this.answered++;
    };
    this.#reader = new Reader(daemon, received, from);
  }

  get losses(): number {
    return this.#reader.losses;
  }

  setReading(isReading: boolean): void {
    this.#reader.setReading(isReading);
  }

  /** Answered after all that was sent before. */
  async hello(): Promise<void> {
    const before = this.#hellos;
    this.#reader.send('', 'MDPC02', '\x01', 'mmi.hello', '');
    await until(() => this.#hellos > before, 'the answer to mmi.hello');
  }

  #count(status: string): void {
    this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
  }

  get refusals(): number {
    return [...this.refused.values()].reduce((sum, count) => sum + count, 0);
  }

  async request(service: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      this.#reader.send('', 'MDPC02', '\x01', service, this.#body);
      this.sent++;
      // Its sockets must have their turn.
      if (index % 64 === 63) await turn();
    }
  }

  untilAllEnded(): Promise<void> {
    return until(() => this.answered + this.refusals === this.sent, 'an end of every request');
  }
}

/** Answers all that it reads, and says HEARTBEAT at once and then twice a second. */
class Worker {
  readonly reader: Reader;
  got = 0;
  beats = 0;

  constructor(daemon: Daemon, service: string, credit: number) {
    const reader = new Reader(daemon, (frames) => {
      if (frames.view(1)[0] !== REQUEST) return;
      this.got++;
      reader.send('MDPW02', '\x04', frames.copy(2), '', 'done');
    });
    this.reader = reader;
    reader.send('MDPW02', '\x01', service, String(credit));
    const timer = setInterval(() => {
      reader.send('MDPW02', '\x05');
      this.beats++;
    }, 500);
    open.push(() => clearInterval(timer));
  }
}

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await removeDaemons();
});

describe('at limits.memoryBytes (D77)', () => {
  it.each([
    { memory: 48, count: 1000, bodyBytes: 100_000 },
    { memory: 24, count: 45_000, bodyBytes: 1000 },
  ])(
    '$count requests of $bodyBytes bytes with $memory MiB: new ones are refused, accepted ones served',
    async ({ memory, count, bodyBytes }) => {
      const daemon = await startDaemon({ sets: [`limits.memoryBytes=${memory}MiB`] });
      const client = await Client.of(daemon, bodyBytes);
      await client.request('work', count);
      await until(() => client.refusals > 0 || client.losses > 0, 'the first refusal');
      expect(client.losses).toBe(0);
      const worker = new Worker(daemon, 'work', 100);
      await client.untilAllEnded();
      expect([...client.refused.keys()]).toEqual(['429']);
      expect([client.losses, worker.reader.losses]).toEqual([0, 0]);
      expect([client.answered, daemon.logged('connection.rejected')]).toEqual([worker.got, []]);
      expect(await daemon.stop()).toMatchObject({ status: 0 });
    },
  );

  it('a client that has stalled with most of it is closed; others keep their connections', async () => {
    const sets = ['limits.memoryBytes=32MiB', 'limits.outputBytes=32MiB'];
    const daemon = await startDaemon({ sets });
    const echo = new Reader(daemon, (frames) => {
      if (frames.view(1)[0] === REQUEST) {
        echo.send('MDPW02', '\x04', frames.copy(2), '', frames.copy(4));
      }
    });
    echo.send('MDPW02', '\x01', 'echo', '10');
    const deaf = await Client.of(daemon, 100_000);
    deaf.setReading(false);
    await deaf.request('echo', 300);
    const honest = await Client.of(daemon, 100_000);
    for (let sent = 0; !daemon.logged('connection.rejected').length; sent++) {
      expect(sent).toBeLessThan(3000);
      await honest.request('later', 10);
      await honest.hello();
    }
    expect(daemon.logged('connection.rejected')).toMatchObject([
      { kind: 'memory', reason: expect.stringContaining('limits.memoryBytes is reached') },
    ]);
    new Worker(daemon, 'later', 10);
    await honest.untilAllEnded();
    expect(honest.losses).toBe(0);
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });
});

describe('unfinished messages (D77)', () => {
  const SIZE = 4 * MIB;
  const sets = ['limits.memoryBytes=32MiB', 'limits.messageBytes=4MiB'];
  /** The address of who sends them. */
  const localAddress = '127.0.0.2';

  afterEach(destroySockets);

  /** A message but for its last byte. */
  const PART = frame(0, Buffer.alloc(SIZE - 1), BigInt(SIZE));

  function come(daemon: Daemon): Promise<RawSocket> {
    return new RawSocket(daemon.endpoint, { localAddress }).shakeHands();
  }

  function closed(strangers: readonly RawSocket[]): number {
    return strangers.filter(({ isClosed }) => isClosed).length;
  }

  it('close their connections when they arrive, at a broker to which nothing else comes', async () => {
    const daemon = await startDaemon({ sets });
    const strangers = await Promise.all(Array.from({ length: 24 }, () => come(daemon)));
    for (const stranger of strangers) stranger.write(PART);
    await until(() => closed(strangers) >= 24 - 32 / 4, 'the end of those that do not fit');
    expect(daemon.logged('connection.rejected')[0]).toMatchObject({
      kind: 'memory',
      reason: expect.stringMatching(
        /^limits.memoryBytes is reached, .* most of it: an incomplete message$/,
      ),
      address: localAddress,
    });
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });

  it('also of workers, which have requests', async () => {
    const daemon = await startDaemon({ sets });
    const client = await Client.of(daemon, 100);
    await client.request('slow', 24);
    const ready = message('MDPW02', '\x01', 'slow', '1');
    const strangers = await Promise.all(Array.from({ length: 24 }, () => come(daemon)));
    for (const stranger of strangers) stranger.write(ready, PART);
    await until(() => closed(strangers) >= 24 - 32 / 4, 'the end of those that do not fit');
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });

  it.each(['127.0.0.1', localAddress])(
    'of others do not keep a client at %s from being served',
    async (address) => {
      const daemon = await startDaemon({ sets });
      const worker = new Worker(daemon, 'echo', 10);
      const client = await Client.of(daemon, 1000, address);
      const strangers: RawSocket[] = [];
      for (let round = 0; round < 40; round++) {
        strangers.push((await come(daemon)).write(PART));
        await client.request('echo', 5);
        await client.hello();
      }
      await until(() => closed(strangers) >= 40 - 32 / 4, 'the end of those that do not fit');
      await client.untilAllEnded();
      expect([client.answered, client.refusals]).toEqual([200, 0]);
      expect([client.losses, worker.reader.losses]).toEqual([0, 0]);
      expect(await daemon.stop()).toMatchObject({ status: 0 });
    },
  );
});

describe('a worker that is slower than its credit (D5)', () => {
  it('gets no more than its output has room for, others get the rest, and nothing is lost', async () => {
    const sets = [
      'limits.messageBytes=1MiB',
      'limits.outputBytes=8MiB',
      'broker.heartbeatIntervalMs=20000',
    ];
    const daemon = await startDaemon({ sets });
    const slow = new Worker(daemon, 'work', 2000);
    await daemon.until(() => daemon.logged('worker.registered').length === 1, 'the worker');
    slow.reader.setReading(false);
    const client = await Client.of(daemon, 100_000);
    await client.request('work', 400);
    const other = new Worker(daemon, 'work', 10);
    await until(() => other.got >= 40, 'what the slow worker has no room for');
    const { beats } = slow;
    await until(() => slow.beats >= beats + 6, 'more than a second of heartbeats');
    slow.reader.setReading(true);
    await client.untilAllEnded();
    expect([client.answered, slow.got + other.got]).toEqual([400, 400]);
    // What was sent to it in the first place has been read: it gets requests again.
    const before = slow.got;
    await client.request('work', 100);
    await client.untilAllEnded();
    expect(slow.got).toBeGreaterThan(before);
    expect([slow.reader.losses, daemon.logged('worker.lost')]).toEqual([0, []]);
    expect(daemon.logged('connection.rejected')).toEqual([]);
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  });
});

/** Resident memory of a process at its highest. */
function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

it('requests of each size that stay when all others have left do not keep the memory of these', async () => {
  const memory = 128 * MIB;
  const sets = [`limits.memoryBytes=${memory}`, 'broker.requestTtlMs=600000'];
  const daemon = await startDaemon({ sets });
  const before = peakBytes(daemon.pid);
  const attacker = await Attacker.prepare('pages', daemon.endpoint, { count: 2 });
  open.push(() => attacker.kill());
  await attacker.begin();
  const peer = new RawPeer(daemon.endpoint);
  open.push(() => peer.close());
  // Each size has a service of its own.
  await peer.untilMmi<readonly { readonly service: string }[]>(
    'mmi.services',
    (services) => services.length >= 8,
  );
  expect(peakBytes(daemon.pid) - before).toBeLessThan(memory + 96 * MIB);
});
