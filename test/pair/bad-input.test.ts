import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { EXIT } from '../../src/core/exit.js';
import { run } from '../support/child.js';
import { temporaryDirectory } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import {
  type HaSeen,
  otherOf,
  pairOfDaemons,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  ROLES,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';

const PLACE_BYTES = 512;
const loads: PairLoad[] = [];
const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  for (const server of servers.splice(0)) server.close();
  await removePairs();
});

/** The introduction of a node without a peer. */
function isAlone(inState?: HaSeen['state']): (seen: HaSeen) => boolean {
  return ({ state, peer }) => peer?.up === false && (inState ?? state) === state;
}

async function expectServed(pair: PairOfDaemons): Promise<PairLoad> {
  const load = new PairLoad(pair.endpoints);
  loads.push(load);
  load.start();
  await load.progress();
  await load.stop();
  expect(load.errors).toEqual([]);
  return load;
}

/** Both listen with CURVE on the link; gives the settings of each. */
async function curvePair(): Promise<{
  primary: string[];
  backup: string[];
  stranger: string;
  keys: string;
}> {
  const directory = temporaryDirectory();
  const keygen = async (name: string): Promise<{ key: string; file: string }> => {
    const file = join(directory, name);
    const { status, stdout, stderr } = await run(['keygen', file, '-o', 'json']);
    if (status !== 0) throw new Error(stderr);
    const { publicKey } = JSON.parse(stdout) as { publicKey: string };
    return { key: publicKey, file };
  };
  const [primary, backup, stranger] = await Promise.all(
    ['primary.key', 'backup.key', 'stranger.key'].map(keygen),
  );
  const keys = join(directory, 'keys.yaml');
  const rows = [primary, backup].map((one, at) =>
    JSON.stringify({ publicKey: one?.key, name: ROLES[at], allow: ['peer'] }),
  );
  writeFileSync(keys, rows.map((row) => `- ${row}\n`).join(''), { mode: 0o600 });
  const settings = (own = '', peer = ''): string[] => [
    `bstar.curve.secretKeyFile=${own}`,
    `bstar.curve.keysFile=${keys}`,
    `bstar.curve.serverKey=${JSON.stringify(peer)}`,
  ];
  return {
    primary: settings(primary?.file, backup?.key),
    backup: settings(backup?.file, primary?.key),
    stranger: stranger?.file ?? '',
    keys,
  };
}

describe('two nodes that do not form a pair', () => {
  it('a node configured as its own peer ends with 78', async () => {
    const pair = await pairOfDaemons();
    const own = `tcp://127.0.0.1:${pair.peerPortOf('primary')}`;
    const { status, stderr } = await pair.launch('primary', [`bstar.peer=${own}`]).finished();
    expect(stderr).toMatch(/bstar.peer/);
    expect(status).toBe(EXIT.config);
  });

  it('both configured as primary: the second one ends with 78; another pair, replication or heartbeat is refused by both, in their logs and on their pages', async () => {
    const pair = await pairOfDaemons();
    await pair.start('primary');
    const { status, stderr } = await pair.launch('backup', ['bstar.role=primary']).finished();
    expect(stderr).toContain('both nodes are configured as primary');
    expect(status).toBe(EXIT.config);
    await pair.until('primary', 'waiting', ({ state }) => state === 'waiting');
    for (const [set, why] of [
      ['bstar.pair=other', /belongs to the pair/],
      ['titanic.replication=async', /titanic\.replication/],
      ['bstar.heartbeatIntervalMs=700', /bstar\.heartbeatIntervalMs/],
    ] as const) {
      const backup = pair.launch('backup', [set]);
      for (const role of ROLES) {
        await pair
          .node(role)
          .until(
            (node) => node.logged('ha.refused').some(({ text }) => why.test(String(text))),
            `refusal of ${set}`,
          );
        await pair.until(role, 'waiting and alone', isAlone('waiting'));
      }
      await backup.kill();
    }
  });

  it('keys files that differ are reported by both nodes, in the log and by ha status', async () => {
    const curve = await curvePair();
    const other = join(temporaryDirectory(), 'keys.yaml');
    const both = readFileSync(curve.keys, 'utf8');
    writeFileSync(other, both.replace('[\"peer\"]', '[\"peer\",\"client\"]'));
    const backup = [...curve.backup, `bstar.curve.keysFile=${other}`];
    const pair = await startPairOfDaemons({ setsOf: { ...curve, backup } });
    for (const role of ROLES) {
      await pair.node(role).waitFor('ha.keys_differ');
      await pair.until(role, 'warned', ({ keysDiffer }) => keysDiffer === true);
    }
    writeFileSync(other, both);
    await pair.until('primary', 'content', ({ keysDiffer }) => keysDiffer === false);
  });

  it('listeners with different public keys are told by both nodes, everywhere, until the key is copied', async () => {
    const directory = temporaryDirectory();
    const key = (role: PairRole): string => join(directory, `${role}.key`);
    for (const role of ROLES) await run(['keygen', key(role)]);
    const keysFile = join(directory, 'keys.yaml');
    writeFileSync(keysFile, '[]\n', { mode: 0o600 });
    const pair = await pairOfDaemons();
    const sealed = (role: PairRole): string => {
      const curve = `{secretKeyFile: ${key(role)}, keysFile: ${keysFile}}`;
      return `broker.listen=[{endpoint: "${pair.endpointOf(role)}", curve: ${curve}}]`;
    };
    for (const role of ROLES) pair.launch(role, [sealed(role)]);
    for (const role of ROLES) {
      const { at } = await pair.node(role).waitFor('ha.listener_keys_differ');
      expect(at).toBe('broker.listen');
      const differ = ({ degraded }: HaSeen): boolean =>
        degraded.some(({ code }) => code === 'listener_keys_differ');
      await pair.until(role, 'warned', differ);
      const said = /clients of one node cannot use the other: broker.listen of the two nodes/;
      const set = [sealed(role), `node.dataDir=${pair.dataDirOf(role)}`];
      const here = [...set, `http.listen=${pair.httpOf(role).replace('http://', '')}`];
      const sets = here.flatMap((each) => ['--set', each]);
      const status = await run(['ha', 'status', ...sets]);
      expect(status.stdout).toMatch(said);
      const doctor = await run(['doctor', ...sets]);
      expect(doctor.stdout).toMatch(said);
      expect(doctor.status).toBe(EXIT.failed);
      const metrics = await fetch(`${pair.httpOf(role)}/metrics`);
      expect(await metrics.text()).toContain('majordomo_degraded{reason="listener_keys_differ"} 1');
    }
    copyFileSync(key('primary'), key('backup'));
    pair.node('backup').signal('SIGHUP');
    for (const role of ROLES) {
      await pair.until(
        role,
        'content',
        ({ degraded }) => !degraded.some(({ code }) => code === 'listener_keys_differ'),
      );
    }
  });

  it('a store copied from the other node is refused and left unchanged (D20)', async () => {
    const pair = await startPairOfDaemons();
    await (await expectServed(pair)).close();
    await pair.rest();
    // Together with the record of the store: the store alone would not be opened in this directory.
    for (const file of ['titanic.db', 'store.json']) {
      const [from, to] = ROLES.map((role) => join(pair.dataDirOf(role), file));
      copyFileSync(from ?? '', to ?? '');
    }
    await Promise.all(ROLES.map((role) => pair.start(role)));
    const { text } = await pair.node('primary').waitFor('ha.refused');
    expect(text).toMatch(/copy/);
    for (const role of ROLES) await pair.until(role, 'alone', isAlone());
  });
});

describe('a torn epoch file (D13)', () => {
  it('in one of its two slots: the node starts from the other slot', async () => {
    const pair = await startPairOfDaemons();
    const active = await pair.inSync();
    const { epoch } = await pair.until(active, 'active', ({ state }) => state === 'active');
    await pair.node(otherOf(active)).stop();
    await pair.node(active).stop();
    const path = join(pair.dataDirOf(active), 'bstar.epoch');
    const bytes = readFileSync(path);
    bytes.fill(0, 100, PLACE_BYTES);
    writeFileSync(path, bytes);
    await Promise.all(ROLES.map((role) => pair.start(role)));
    const after = await pair.until(
      await pair.inSync(),
      'active',
      ({ state }) => state === 'active',
    );
    expect(after.epoch).toBeGreaterThan(epoch);
  });

  it('in both slots: exit 78, and the file is left unchanged', async () => {
    const pair = await pairOfDaemons();
    const path = join(pair.dataDirOf('primary'), 'bstar.epoch');
    mkdirSync(pair.dataDirOf('primary'), { recursive: true });
    const garbage = Buffer.alloc(2 * PLACE_BYTES, 'torn');
    writeFileSync(path, garbage);
    const { status, stderr } = await pair.launch('primary').finished();
    expect(stderr).toContain('damaged: it does not contain the epoch of this node');
    expect(status).toBe(EXIT.config);
    expect(readFileSync(path)).toEqual(garbage);
  });
});

describe('strangers at the peer’s port', () => {
  it('garbage, half a greeting and silence change nothing, and what the backup once sent makes nobody its peer (D18)', async () => {
    // Long, so that a busy machine alone does not separate them.
    const pair = await startPairOfDaemons({ heartbeatIntervalMs: 3000 });
    const active = await pair.inSync();
    const port = pair.peerPortOf('primary');
    const greeting = Buffer.alloc(64);
    greeting.write('\xff\0\0\0\0\0\0\0\0\x7f\x03', 'latin1');
    const nonsense = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(1e6, 7),
      greeting,
      Buffer.alloc(0),
    ];
    const sockets = nonsense.map((bytes) => stranger(port, bytes));
    await expectServed(pair);
    expect(await pair.inSync()).toBe(active);
    expect(pair.logged('ha.disconnected')).toEqual([]);
    for (const socket of sockets) socket.destroy();

    const said: Buffer[] = [];
    pair.link.tap = {
      connected: () => said.splice(0),
      fromClient: (chunk) => said.push(chunk),
      fromServer: () => undefined,
    };
    pair.link.set('reset');
    pair.link.set('open');
    await pair.node('primary').waitFor('ha.connected', 2);
    await expectServed(pair);
    await pair.node('backup').kill();
    await pair.until('primary', 'alone', isAlone());
    const connections = pair.node('primary').logged('ha.connected').length;
    const socket = stranger(pair.peerPortOf('primary'), Buffer.concat(said));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(pair.node('primary').logged('ha.connected')).toHaveLength(connections);
    await pair.until('primary', 'alone', isAlone());
  });

  it('a peer that accepts but never answers does not count: the node serves alone', async () => {
    const pair = await pairOfDaemons();
    const [mute = 0] = await freePorts(1);
    const server = createServer((socket) => socket.on('error', () => undefined));
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(mute, '127.0.0.1', resolve));
    pair.launch('primary', [`bstar.peer=tcp://127.0.0.1:${mute}`]);
    await pair.node('primary').waitFor('broker.ready');
    await expectServed(pair);
    await pair.until('primary', 'active and alone', isAlone('active'));
    // The backup that has never led is not to serve alone (D21).
    await pair.node('primary').kill();
    pair.launch('backup', [`bstar.peer=tcp://127.0.0.1:${mute}`]);
    await pair.node('backup').waitFor('broker.ready');
    await pair.until('backup', 'waiting and alone', isAlone('waiting'));
  });
});

function stranger(port: number, bytes: Buffer): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  return socket;
}

describe('CURVE between the nodes', () => {
  it('the pair gets in sync with its keys; removing one from the keys file closes the link at once, adding it restores the link (D73)', async () => {
    const curve = await curvePair();
    const pair = await startPairOfDaemons({ setsOf: curve });
    await expectServed(pair);
    await pair.switchedOver(await pair.inSync());
    await pair.inSync();
    const both = readFileSync(curve.keys, 'utf8');
    const [own = ''] = both.split('\n');
    writeFileSync(curve.keys, `${own}\n`);
    const refused = await pair.node('primary').waitFor('ha.refused');
    expect(refused).toMatchObject({ code: 'key' });
    await pair.until('primary', 'alone', ({ peer }) => peer?.up === false);
    writeFileSync(curve.keys, both);
    await pair.inSync();
  });

  it('a node with another key is kept out', async () => {
    const { primary, backup, stranger: file } = await curvePair();
    const wrong = [...backup, `bstar.curve.secretKeyFile=${file}`];
    const pair = await pairOfDaemons({ setsOf: { primary, backup: wrong } });
    await Promise.all(ROLES.map((role) => pair.start(role)));
    await expectServed(pair);
    for (const role of ROLES) expect(pair.node(role).logged('ha.connected')).toEqual([]);
    await pair.until('primary', 'active and alone', isAlone('active'));
  });

  it('a node without keys is kept out', async () => {
    const { primary } = await curvePair();
    const pair = await pairOfDaemons({ setsOf: { primary } });
    await Promise.all(ROLES.map((role) => pair.start(role)));
    await expectServed(pair);
    for (const role of ROLES) expect(pair.node(role).logged('ha.connected')).toEqual([]);
  });
});
