import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { codeOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import type { CurveOptions } from '../../../src/sdk/stream.js';
import type { KeyPair } from '../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { closeWatchers, eventsOf, Watcher } from '../../support/events.js';
import { until } from '../../support/until.js';
import { cleanUp, rawWorker } from '../broker/support.js';

type Name = 'all' | 'some' | 'none';

let server: KeyPair;
let next: KeyPair;
let pairs: Readonly<Record<Name, KeyPair>>;
let folder = '';

beforeAll(async () => {
  const crypto = await loadSodium();
  server = crypto.keyPair();
  next = crypto.keyPair();
  pairs = { all: crypto.keyPair(), some: crypto.keyPair(), none: crypto.keyPair() };
});

beforeEach(() => {
  folder = temporaryDirectory();
  for (const [file, { secretKey }] of Object.entries({ server, next })) {
    writeFileSync(join(folder, `${file}.key`), encodeZ85(secretKey), { mode: 0o600 });
  }
});

afterEach(async () => {
  await closeWatchers();
  await cleanUp();
});

/** The keys file: each name with its globs, `null` for an entry without rights. */
function allow(entries: Partial<Record<Name, readonly string[] | null>>): void {
  const lines = Object.entries(entries).map(([name, globs]) => {
    const publicKey = encodeZ85(pairs[name as Name].publicKey);
    const client = globs === null ? '' : `, client: ${JSON.stringify(globs)}`;
    return `- {name: ${name}, publicKey: '${publicKey}'${client}}\n`;
  });
  writeFileSync(join(folder, 'keys.yaml'), lines.join('') || '[]', { mode: 0o600 });
}

function curve(secretKeyFile = join(folder, 'server.key')): string {
  return `curve: {secretKeyFile: ${secretKeyFile}, keysFile: ${join(folder, 'keys.yaml')}}`;
}

/** A broker whose listener needs no keys, and whose events do. */
async function start(): Promise<Daemon> {
  return await startDaemon({
    sets: [
      `events.listen={endpoint: "tcp://127.0.0.1:0", ${curve()}}`,
      'broker.heartbeatIntervalMs=60000',
    ],
  });
}

function curveOf(name: Name, to = server): CurveOptions {
  const { publicKey, secretKey } = pairs[name];
  const serverKey = encodeZ85(to.publicKey);
  return { serverKey, publicKey: encodeZ85(publicKey), secretKey };
}

function watcherOf(daemon: Daemon, name: Name, topics: readonly string[], to?: KeyPair): Watcher {
  return new Watcher(eventsOf(daemon), topics, { curve: curveOf(name, to) });
}

/** Keys that differ for each test: a path may be read again only if it was changed. */
function rewrite(entries: Parameters<typeof allow>[0], daemon: Daemon): Promise<unknown> {
  const before = daemon.logged('keys.reread').length;
  allow(entries);
  return daemon.waitFor('keys.reread', before + 1);
}

describe('subscribers with keys', () => {
  it('get only the events that their globs match, and the refusal is an event', async () => {
    allow({ all: null, some: ['worker.*'], none: [] });
    const daemon = await start();
    const all = await watcherOf(daemon, 'all', ['']).sync(daemon);
    const some = await watcherOf(daemon, 'some', ['', 'wo', 'request.']).sync(daemon);
    const none = watcherOf(daemon, 'none', ['']);
    await until(() => all.named('stream.refused').length === 4, 'every refusal');
    const worker = await rawWorker(daemon.endpoint, 'echo');
    await worker.send('MDPW02', '\x06');
    await all.waitFor('worker.lost');
    await some.waitFor('worker.lost');
    // The listener of workers has no keys; subscribers with a key see where they come from.
    expect(all.named('worker.lost')).toMatchObject([{ key: null, address: '127.0.0.1' }]);
    expect(some.events.map(({ event }) => event)).toEqual(['worker.registered', 'worker.lost']);
    expect(none.messages).toEqual([]);
    const refused = { event: 'stream.refused', address: '127.0.0.1' };
    expect(all.named('stream.refused')).toEqual([
      { ...refused, topic: '', key: 'some' },
      { ...refused, topic: 'request.', key: 'some' },
      { ...refused, topic: '', key: 'none' },
      { ...refused, topic: 'worker.refused', key: 'none' },
    ]);
    expect(await daemon.waitFor('stream.refused')).toMatchObject({ level: 'warn', key: 'some' });
    expect([some.error, some.disconnections]).toEqual([null, 0]);
  });

  it('are disconnected when their rights change, and then have the new ones', async () => {
    allow({ all: null, some: ['worker.*'] });
    const daemon = await start();
    const all = await watcherOf(daemon, 'all', ['']).sync(daemon);
    const some = await watcherOf(daemon, 'some', ['worker.registered', 'stream.']).sync(daemon);
    await rewrite({ all: null, some: ['stream.*', 'worker.refused'] }, daemon);
    await until(() => some.disconnections === 1, 'the end of the connection');
    await some.sync(daemon);
    await rawWorker(daemon.endpoint, 'echo');
    await all.waitFor('worker.registered');
    await some.sync(daemon);
    expect(some.events.map(({ event, topic }) => [event, topic])).toEqual([
      ['stream.refused', 'worker.registered'],
    ]);
    expect(all.disconnections).toBe(0);
  });

  it('whose key is removed are disconnected, and not admitted again', async () => {
    allow({ all: null, some: ['*'] });
    const daemon = await start();
    const all = await watcherOf(daemon, 'all', ['']).sync(daemon);
    const some = await watcherOf(daemon, 'some', ['']).sync(daemon);
    await rewrite({ all: null }, daemon);
    await until(() => some.error !== null, 'the end of the subscriber');
    expect(codeOf(some.error)).toBe('ERR_MDP_KEY_REFUSED');
    expect(await all.waitFor('stream.rejected')).toMatchObject({ kind: 'key' });
    expect(all.disconnections).toBe(0);
  });

  it('with one of two keys of a name lose only the key that is removed', async () => {
    const [one, two] = [pairs.some, pairs.none].map((pair) => encodeZ85(pair.publicKey));
    const write = (...keys: readonly (string | undefined)[]): void => {
      const entry = `- {name: some, publicKey: ${JSON.stringify(keys)}}\n`;
      writeFileSync(join(folder, 'keys.yaml'), entry, { mode: 0o600 });
    };
    write(one, two);
    const daemon = await start();
    const stays = await watcherOf(daemon, 'some', ['']).sync(daemon);
    const goes = await watcherOf(daemon, 'none', ['']).sync(daemon);
    write(one);
    await until(() => goes.error !== null, 'the end of the subscriber');
    await stays.sync(daemon);
    expect([codeOf(goes.error), stays.disconnections]).toEqual(['ERR_MDP_KEY_REFUSED', 0]);
  });

  it('without a key, or with another one, get nothing', async () => {
    allow({ all: null });
    const daemon = await start();
    const all = await watcherOf(daemon, 'all', ['stream.']).sync(daemon);
    const stranger = watcherOf(daemon, 'some', ['']);
    await until(() => stranger.error !== null, 'the end of the subscriber');
    expect(codeOf(stranger.error)).toBe('ERR_MDP_KEY_REFUSED');
    const naked = new Watcher(eventsOf(daemon), [''], {});
    await until(() => all.events.some(({ kind }) => kind === 'mechanism'), 'the refusal');
    expect(all.events[0]).toMatchObject({
      kind: 'key',
      key: encodeZ85(pairs.some.publicKey).slice(0, 8),
    });
    expect([naked.messages, stranger.messages]).toEqual([[], []]);
  });

  it('know the new key of the broker after SIGHUP; connections stay', async () => {
    allow({ all: null });
    const file = join(folder, 'majordomo.yaml');
    const write = (secret: string, level: string): void => {
      const listen = `{endpoint: 'tcp://127.0.0.1:0', ${curve(secret)}}`;
      writeFileSync(file, `events: {listen: ${listen}}\nlog: {level: ${level}}\n`);
    };
    const [old, both] = [join(folder, 'server.key'), `[${folder}/next.key, ${folder}/server.key]`];
    write(old, 'info');
    const daemon = await startDaemon({ file });
    const before = await watcherOf(daemon, 'all', ['worker.']).sync(daemon);
    write(both, 'info');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded')).toMatchObject({
      applied: [{ key: 'events.listen' }],
      needRestart: [],
    });
    const after = await watcherOf(daemon, 'all', ['worker.'], next).sync(daemon);
    await rawWorker(daemon.endpoint, 'echo');
    await after.waitFor('worker.registered');
    await before.waitFor('worker.registered');
    expect(before.disconnections).toBe(0);
    write(join(folder, 'missing.key'), 'info');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('keys.refused')).toMatchObject({ code: 'ERR_CONFIG_FILE' });
    expect((await watcherOf(daemon, 'all', ['worker.']).sync(daemon)).error).toBe(null);
  });
});
