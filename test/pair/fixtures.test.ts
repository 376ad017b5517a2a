/** What nodes of released versions sent each other and had on disk, given to nodes of today. */
import { cpSync } from 'node:fs';

import { Router } from 'zeromq';

import { present } from '../../src/core/assert.js';
import { Frames } from '../../src/core/frames.js';
import { PEER_VERSION, type PeerMessage } from '../../src/wire/pair.js';
import { readPeer, writePeer } from '../../src/wire/pair-codec.js';
import { Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { Fixtures, type LinkMessage, VERSIONS } from '../support/fixtures.js';
import { freePorts, freePortsInARow } from '../support/free-ports.js';
import { pairOfDaemons, removePairs, ROLES } from '../support/pair-daemons.js';
import { type StoredView, storedView, VIEWED } from '../support/stored-view.js';

interface Recorded {
  readonly heartbeatIntervalMs: number;
  /** Of the backup, after it has taken over. */
  readonly view: StoredView;
}

const routers: Router[] = [];

afterEach(async () => {
  for (const router of routers.splice(0)) router.close();
  await removePairs();
});

async function mapSet(): Promise<string> {
  return `map.listen=tcp://127.0.0.1:${await freePortsInARow(3)}`;
}

/** What a store has, served by one node. */
async function viewOf(dataDir: string): Promise<StoredView> {
  const daemon = await startDaemon({ dataDir, sets: [...VIEWED, await mapSet()] });
  return await storedView(daemon, true);
}

/** The primary that was recorded, at an endpoint: it says what it said, and waits where it waited. */
class RecordedPrimary {
  readonly #router = new Router({ linger: 0 });
  readonly #version: number;
  #peer: Buffer = Buffer.alloc(0);
  /** What the other node has said of its state. */
  readonly #states = new Set<string>();
  /** Its other messages that nobody has waited for yet. */
  readonly #others: PeerMessage[] = [];

  constructor(version: number) {
    this.#version = version;
    routers.push(this.#router);
  }

  async play(endpoint: string, messages: readonly LinkMessage[]): Promise<void> {
    await this.#router.bind(endpoint);
    let nonce: Buffer | null = null;
    for (const { from, kind, frames } of messages) {
      const bytes = frames.map((frame) => Buffer.from(frame, 'base64'));
      if (from === 'backup' && kind === 'status') {
        await this.#hearState(stateIn(bytes));
        continue;
      }
      if (from === 'backup') {
        const heard = await this.#hear(kind);
        if (heard.kind === 'hello') ({ nonce } = heard);
        continue;
      }
      await this.#router.send([
        this.#peer,
        ...(kind === 'proof' ? this.#proof(bytes, nonce) : bytes),
      ]);
    }
  }

  /** With the nonce of the node that is there now. */
  #proof(bytes: readonly Buffer[], nonce: Buffer | null): readonly Buffer[] {
    const { stamp } = messageIn(bytes);
    return writePeer({ kind: 'proof', nonce: present(nonce, 'a nonce') }, stamp, this.#version);
  }

  /** The next message that is no status must be of this kind. */
  async #hear(kind: string): Promise<PeerMessage> {
    for (;;) {
      const message = this.#others.shift() ?? (await this.#next());
      if (message === null) continue;
      expect(message.kind).toBe(kind);
      return message;
    }
  }

  /** Whether it says more often how it is depends on the time; that it waits may be over before it says so. */
  async #hearState(state: string): Promise<void> {
    while (!state.startsWith('waiting') && !this.#states.has(state)) {
      const other = await this.#next();
      if (other !== null) this.#others.push(other);
    }
  }

  /** @returns `null`: a status */
  async #next(): Promise<PeerMessage | null> {
    const [peer, ...frames] = await this.#router.receive();
    this.#peer = present(peer, 'a routing id');
    const { message } = messageIn(frames);
    if (message.kind !== 'status') return message;
    this.#states.add(stateIn(frames));
    return null;
  }
}

/** State and epoch of a status. */
function stateIn(frames: readonly Buffer[]): string {
  const { message } = messageIn(frames);
  if (message.kind !== 'status') throw new Error(message.kind);
  return `${message.state} ${message.epoch}`;
}

function messageIn(buffers: readonly Buffer[]) {
  const frames = new Frames();
  for (const each of buffers) frames.push(each, 0, each.length);
  const read = present(readPeer(frames), 'a message');
  if (!('message' in read)) throw new Error(`version ${read.otherVersion}`);
  return { ...read, message: present(read.message, 'a kind that is known') };
}

describe.each(VERSIONS)('a pair of %s', (version) => {
  const fixtures = new Fixtures(version);
  const { heartbeatIntervalMs, view } = fixtures.json('pair.json') as Recorded;
  const messages = fixtures.lines('link.jsonl') as LinkMessage[];

  it('a backup joins its primary, follows it and takes over from it, and has what its backup had', async () => {
    const [own = 0, other = 0] = await freePorts(2);
    const dataDir = temporaryDirectory();
    const backup = new Daemon({
      dataDir,
      sets: [
        ...VIEWED.filter((set) => !set.startsWith('node.')),
        ...['node.name=backup', 'bstar.role=backup', `bstar.listen=tcp://127.0.0.1:${own}`],
        `bstar.peer=tcp://127.0.0.1:${other}`,
        `bstar.heartbeatIntervalMs=${heartbeatIntervalMs}`,
        await mapSet(),
      ],
    });
    const primary = new RecordedPrimary(Math.min(PEER_VERSION, versionOf(messages)));
    const leads = messages.findIndex((message) => message.from === 'backup' && isActive(message));
    expect(leads).toBeGreaterThan(0);
    await primary.play(`tcp://127.0.0.1:${other}`, messages.slice(0, leads + 1));
    const isLeading = (node: Daemon): boolean =>
      node.logged('ha.changed').at(-1)?.['to'] === 'active';
    await backup.until(isLeading, 'it leads');
    await backup.kill();
    expect(await viewOf(dataDir)).toMatchObject(view);
  });

  it('has data directories with which both nodes start, in a later epoch, and in sync', async () => {
    const pair = await pairOfDaemons({ heartbeatIntervalMs });
    for (const role of ROLES) {
      cpSync(fixtures.copy(role), pair.dataDirOf(role), { recursive: true });
      pair.launch(role, [await mapSet()]);
    }
    const active = await pair.inSync();
    const { epoch } = await pair.until(active, 'active', ({ state }) => state === 'active');
    const [, before] =
      /^majordomo-epoch 1 (?:\d+) (\d+)/.exec(fixtures.text('backup/bstar.epoch')) ?? [];
    expect(Number(before)).toBeGreaterThan(0);
    expect(epoch).toBeGreaterThan(Number(before));
    await pair.rest();
    for (const role of ROLES) expect(await viewOf(pair.dataDirOf(role))).toMatchObject(view);
  });
});

function isActive({ kind, frames }: LinkMessage): boolean {
  const bytes = frames.map((frame) => Buffer.from(frame, 'base64'));
  return kind === 'status' && stateIn(bytes).startsWith('active');
}

function versionOf([first]: readonly LinkMessage[]): number {
  return Buffer.from(first?.frames[0] ?? '', 'base64').readUInt8(3);
}
