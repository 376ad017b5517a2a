import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { encodeZ85 } from '../../../src/core/z85.js';
import type { KeyPair } from '../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { killPrograms } from '../../interop/support/program.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { mapOf } from '../../support/map-endpoint.js';
import { MapPeer } from '../../support/map-peers.js';
import { itWithTool } from '../../support/tools.js';

const TOOL = 'python3-zmq';

type Name = 'admin' | 'app' | 'stranger';

let server: KeyPair;
let pairs: Readonly<Record<Name, KeyPair>>;
let folder = '';

beforeAll(async () => {
  const crypto = await loadSodium();
  server = crypto.keyPair();
  pairs = { admin: crypto.keyPair(), app: crypto.keyPair(), stranger: crypto.keyPair() };
});

beforeEach(() => {
  folder = temporaryDirectory();
  const file = join(folder, 'server.key');
  writeFileSync(file, encodeZ85(server.secretKey), { mode: 0o600 });
});

afterEach(async () => {
  await killPrograms();
  await removeDaemons();
});

/** The keys file: each name with its rights. */
function allow(entries: Partial<Record<Name, string>>): void {
  const lines = Object.entries(entries).map(([name, rights]) => {
    const publicKey = encodeZ85(pairs[name as Name].publicKey);
    return `- {name: ${name}, publicKey: '${publicKey}'${rights}}\n`;
  });
  writeFileSync(join(folder, 'keys.yaml'), lines.join(''), { mode: 0o600 });
}

const APP = ", client: ['/app/*'], worker: ['/app/state/*']";

async function start(): Promise<Daemon> {
  const keys = `secretKeyFile: ${join(folder, 'server.key')}, keysFile: ${join(folder, 'keys.yaml')}`;
  const listen = `map.listen={endpoint: "tcp://127.0.0.1:0", curve: {${keys}}}`;
  return await startDaemon({ sets: [listen, 'http.listen=127.0.0.1:0'] });
}

function optionsOf(name: Name, topics = ''): readonly string[] {
  const { publicKey, secretKey } = pairs[name];
  return [
    ...['--topics', topics],
    `--server-key=${encodeZ85(server.publicKey)}`,
    `--public-key=${encodeZ85(publicKey)}`,
    `--secret-key=${encodeZ85(secretKey)}`,
  ];
}

describe('a map whose ports need keys', () => {
  itWithTool(
    TOOL,
    'a key reads what its client globs cover, and writes what its worker globs match (D72)',
    async () => {
      allow({ admin: '', app: APP });
      const daemon = await start();
      const endpoint = mapOf(daemon);
      const admin = await MapPeer.connected(endpoint, ...optionsOf('admin'));
      const app = await MapPeer.connected(endpoint, ...optionsOf('app', '/app/,HUGZ,'));
      expect(await daemon.waitFor('map.denied')).toMatchObject({ wanted: 'read', key: 'app' });
      admin.set('/secret', '', '', '', 'x');
      admin.set('/app/colour', '', '', '', 'blue');
      app.set('/app/colour', '', '', '', 'red');
      app.set('/app/state/a', '', '', '', 'up');
      await app.update(({ key }) => key === '/app/state/a');
      await admin.update(({ key }) => key === '/app/colour');
      expect(app.updates.every(({ key }) => key.startsWith('/app/'))).toBe(true);
      expect(admin.updates.some(({ value }) => value === 'red')).toBe(false);
      expect((await app.snapshot('/app/')).map(({ key }) => key)).toContain('/app/state/a');
      const denials = daemon.logged('map.denied').length;
      app.ask('ICANHAZ?', '');
      await daemon.waitFor('map.denied', denials + 1);
      // The answer to the next question shows that the one before got none.
      expect((await app.snapshot('/app/none/')).map(({ key }) => key)).toEqual(['KTHXBAI']);
    },
  );

  itWithTool(
    TOOL,
    'an unknown key does not connect, and a removed one loses its connections (D73)',
    async () => {
      allow({ admin: '', app: APP });
      const daemon = await start();
      const endpoint = mapOf(daemon);
      new MapPeer(endpoint, ...optionsOf('stranger'));
      expect(await daemon.waitFor('map.rejected')).toMatchObject({ kind: 'key' });
      const admin = await MapPeer.connected(endpoint, ...optionsOf('admin'));
      const app = await MapPeer.connected(endpoint, ...optionsOf('app', '/app/,HUGZ'));
      allow({ admin: '' });
      await daemon.waitFor('keys.reread');
      // The stranger is refused again and again, too; from now on, both are.
      const before = daemon.stdout.split('"map.rejected"').length;
      // It connects again by itself, and is refused.
      await daemon.until(
        () => daemon.stdout.split('"map.rejected"').length > before,
        'the removed key is refused',
      );
      app.set('/app/state/a', '', '', '', 'up');
      admin.set('/last', '', '', '', 'x');
      await admin.update(({ key }) => key === '/last');
      expect(admin.updates.some(({ key }) => key === '/app/state/a')).toBe(false);
    },
  );

  itWithTool(TOOL, 'HTTP shows values only to holders of a token', async () => {
    allow({ admin: '' });
    const daemon = await start();
    const admin = await MapPeer.connected(mapOf(daemon), ...optionsOf('admin'));
    admin.set('/a', '', '', 'x=y\n', 'secret');
    await admin.update(({ key }) => key === '/a');
    const url = `${httpOf(daemon)}/api/v1/map`;
    expect((await ask(url)).status).toBe(401);
    expect((await ask(url, { token: tokenOf(daemon) })).json).toMatchObject({
      items: [{ key: '/a', properties: 'x=y\n', value: { data: 'secret' } }],
    });
  });
});
