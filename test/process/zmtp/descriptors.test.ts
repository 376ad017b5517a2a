import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { closePeers, RawPeer } from '../../interop/support/raw-peer.js';
import { Child, type ChildOptions, killAll } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { until } from '../../support/until.js';
import { HANDSHAKE } from '../../unit/zmtp/wire.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';

const DESCRIPTORS = 1024;
const IDLE = 5000;
const GARBAGE = 1000;
const TICKS_PER_SECOND = 100;
const REDIAL_MS = 700;

interface Line {
  readonly event?: string;
  readonly endpoints?: readonly string[];
  readonly kind?: string;
  readonly leftOut?: number;
}

/** A broker that may have a thousand descriptors open, and no more. */
class Confined extends Child {
  static async start(options: ChildOptions, ...sets: string[]): Promise<Confined> {
    const all = [
      `node.dataDir=${temporaryDirectory()}`,
      'broker.listen=tcp://127.0.0.1:0',
      'http.listen=off',
      'log.format=json',
      ...sets,
    ];
    const args = ['serve', ...all.flatMap((set) => ['--set', set])];
    const broker = new Confined(args, { ...options, before: `ulimit -n ${DESCRIPTORS}` });
    await broker.until(() => broker.logged('broker.ready').length > 0, 'broker.ready');
    return broker;
  }

  logged(event: string): Line[] {
    const lines = this.stdout.split('\n').slice(0, -1);
    return lines
      .map((line): Line => JSON.parse(line) as Line)
      .filter((line) => line.event === event);
  }

  get endpoint(): string {
    return this.logged('broker.ready')[0]?.endpoints?.[0] ?? '';
  }

  rejections(kind: string): number {
    return this.logged('connection.rejected')
      .filter((line) => line.kind === kind)
      .reduce((sum, line) => sum + 1 + (line.leftOut ?? 0), 0);
  }

  /** Processor time that it has used, in seconds. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  }
}

/** Dials again when it was refused or closed; less often than libzmq, to spare this process. */
class Idler {
  socket: RawSocket;
  isStopped = false;
  readonly #endpoint: string;

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
    this.socket = this.#dial();
  }

  #dial(): RawSocket {
    const socket = new RawSocket(this.#endpoint).write(HANDSHAKE);
    socket.socket.on('close', () => {
      setTimeout(
        () => {
          if (!this.isStopped) this.socket = this.#dial();
        },
        REDIAL_MS * (1 + Math.random()),
      ).unref();
    });
    return socket;
  }

  get isIn(): boolean {
    return this.socket.received.length > 64 && !this.socket.isClosed;
  }

  stop(): void {
    this.isStopped = true;
    this.socket.socket.destroy();
  }
}

async function served(client: RawPeer): Promise<void> {
  expect((await client.ask('id', 'mmi.service', 'mmi.service')).at(-1)).toBe('200');
}

describe('a broker that may open a thousand descriptors', () => {
  const idlers: Idler[] = [];

  afterEach(async () => {
    for (const idler of idlers.splice(0)) idler.stop();
    destroySockets();
    closePeers();
    await killAll();
    await removeDaemons();
  });

  it('keeps serving at little CPU while thousands dial, and admits them as others leave', async () => {
    const broker = await Confined.start({});
    const client = new RawPeer(broker.endpoint);
    await served(client);
    // The test's own process may not be allowed so many, either.
    const limits = readFileSync('/proc/self/limits', 'latin1');
    const own = Number(/^Max open files +([0-9]+) /m.exec(limits)?.[1] ?? Infinity);
    const count = Math.min(IDLE, own - 1000);
    for (let index = 0; index < count; index++) {
      idlers.push(new Idler(broker.endpoint));
      if (index % 100 === 99) await until(() => true, 'a turn');
    }
    await until(() => idlers.filter(({ isIn }) => isIn).length > 700, 'hundreds to be in');
    await broker.until(() => broker.rejections('accept') > 0, 'the end of the descriptors');
    await served(client);
    const [cpuBefore, before] = [broker.cpuSeconds(), performance.now()];
    while (performance.now() < before + 1500) {
      await served(client);
      await delay(20);
    }
    const share = ((broker.cpuSeconds() - cpuBefore) * 1000) / (performance.now() - before);
    // An accept loop that spins takes all of a processor.
    expect(share).toBeLessThan(0.5);
    const inside = idlers.filter(({ isIn }) => isIn);
    expect(inside.length).toBeLessThan(DESCRIPTORS);
    for (const idler of inside.slice(0, 300)) idler.stop();
    await until(
      () => idlers.filter((idler) => idler.isIn && !inside.includes(idler)).length > 200,
      'others in their places',
    );
    await served(client);
    broker.signal('SIGTERM');
    expect(await broker.finished()).toMatchObject({ status: 0, signal: null });
  });

  it('ends a thousand connections that send garbage, counts each, and keeps nothing', async () => {
    const began = performance.now();
    const broker = await Confined.start({});
    const client = new RawPeer(broker.endpoint);
    const flood = async (): Promise<void> => {
      for (let round = 0; round < GARBAGE / 200; round++) {
        const strangers = Array.from({ length: 200 }, (_, index) =>
          new RawSocket(broker.endpoint).write(Buffer.alloc(2000, index)),
        );
        await served(client);
        await Promise.all(strangers.map((stranger) => stranger.closed()));
      }
    };
    await flood();
    const before = broker.residentBytes();
    await flood();
    await flood();
    expect(broker.residentBytes()).toBeLessThan(before * 1.5);
    await served(client);
    broker.signal('SIGTERM');
    await broker.finished();
    // 199 of 200 have no signature; 0xff is one, but of no mechanism.
    expect(broker.rejections('greeting') + broker.rejections('mechanism')).toBe(3 * GARBAGE);
    // At most one line a second of each kind.
    const told = broker.logged('connection.rejected').map(({ kind }) => kind);
    const seconds = (performance.now() - began) / 1000;
    expect(told.length).toBeLessThan(new Set(told).size * (seconds + 2));
  });

  it('keeps to limits.connections and a share for each address; an idle connection costs little', async () => {
    // With a small young generation: the steps in which it grows would be measured instead.
    const broker = await Confined.start(
      { nodeOptions: ['--max-semi-space-size=1'] },
      'limits.connections=700',
    );
    const client = new RawPeer(broker.endpoint);
    await served(client);
    const before = broker.residentBytes();
    for (let index = 0; index < 900; index++) idlers.push(new Idler(broker.endpoint));
    await broker.until(() => broker.rejections('connections') > 0, 'the limit');
    const share = 612;
    await until(() => idlers.filter(({ isIn }) => isIn).length === share - 1, 'all places taken');
    const grown = (broker.residentBytes() - before) / share;
    // Handshakes leave their garbage: an order of magnitude.
    expect(grown).toBeLessThan(64 * 1024);
    await served(client);
    // Who comes from elsewhere finds room.
    const other = new RawSocket(broker.endpoint, { localAddress: '127.0.0.2' });
    await other.shakeHands();
  });

  it('leaves descriptors for others, whatever one address takes', async () => {
    const broker = await Confined.start({});
    const count = DESCRIPTORS + 200;
    for (let index = 0; index < count; index++) idlers.push(new Idler(broker.endpoint));
    await broker.until(() => broker.rejections('accept') > 0, 'the end of its descriptors');
    const other = new RawSocket(broker.endpoint, { localAddress: '127.0.0.2' });
    await other.shakeHands();
  });
});
