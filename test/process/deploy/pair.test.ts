import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { parse, parseAllDocuments } from 'yaml';

import { checkEndpoints } from '../../../src/cli/connection/endpoints.js';
import { makePairKeys } from '../../../src/cli/keys/key-files.js';
import type { Config } from '../../../src/config/config.js';
import { loadConfig } from '../../../src/config/io/load.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import type { CurveCrypto } from '../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { load } from '../../unit/config/support.js';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

const read = (file: string): string => readFileSync(file, 'utf8');
const portOf = (endpoint: string | null): string => endpoint?.split(':').at(-1) ?? '';

/** Keys whose values must agree between two nodes. */
function expectPair(primary: Config, backup: Config): void {
  expect(primary.bstar.pair).toBe(backup.bstar.pair);
  expect(primary.bstar.heartbeatIntervalMs).toBe(backup.bstar.heartbeatIntervalMs);
  expect(primary.titanic.replication).toBe(backup.titanic.replication);
  expect(portOf(primary.bstar.peer)).toBe(portOf(backup.bstar.listen));
  expect(portOf(backup.bstar.peer)).toBe(portOf(primary.bstar.listen));
  expect(primary.node.name).not.toBe(backup.node.name);
}

/** A configuration without its role, and that role. */
function withoutRole(text: string): { readonly config: Config; readonly role: string } {
  const role = /^ {2}role: (.*)\n/m.exec(text)?.[1] ?? '';
  return { config: load({ text: text.replace(/^ {2}role: .*\n/m, '') }).config, role };
}

describe('the pair of config/', () => {
  const [primary, backup] = ['primary', 'backup'].map((role) => read(`config/pair-${role}.yaml`));

  it('is a primary and a backup of one pair that share no port or directory', () => {
    const one = withoutRole(primary ?? '');
    const other = withoutRole(backup ?? '');
    expect([one.role, other.role]).toEqual(['primary', 'backup']);
    expectPair(one.config, other.config);
    expect(one.config.node.dataDir).not.toBe(other.config.node.dataDir);
    const ports = [one.config, other.config].flatMap(({ broker, bstar, http }) => [
      ...broker.listen.map(({ endpoint }) => portOf(endpoint)),
      portOf(bstar.listen),
      portOf(http.listen),
    ]);
    expect([...ports].sort()).toEqual(['5555', '5556', '5580', '5581', '5590', '5591']);
  });

  it('differs in seven lines', () => {
    const others = (backup ?? '').split('\n');
    const differing = (primary ?? '').split('\n').filter((line, at) => line !== others[at]);
    expect(differing.map((line) => line.trim().split(':')[0])).toEqual([
      'name',
      'dataDir',
      'listen',
      'role',
      'listen',
      'peer',
      'listen',
    ]);
  });
});

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      { readonly hostname: string; readonly environment: Readonly<Record<string, string>> }
    >
  >;
}

describe('the pair of deploy/compose.yaml', () => {
  const { services } = parse(read('deploy/compose.yaml'), { merge: true }) as Compose;

  function nodeOf(name: string): Config {
    const { hostname = '', environment = {} } = services[name] ?? {};
    const { MAJORDOMO_BSTAR__ROLE: role, ...others } = environment;
    expect(role).toBe(name);
    const variables = {
      ...others,
      MAJORDOMO_HTTP__TOKEN: '0123456789abcdef',
      MAJORDOMO_HTTP__READ_TOKEN: 'fedcba9876543210',
    };
    const file = 'deploy/container/majordomo.yaml';
    return loadConfig({ file, environment: variables, hostName: hostname }).config;
  }

  it('is a primary and a backup that know each other by the names of their services', () => {
    const [primary, backup] = [nodeOf('primary'), nodeOf('backup')];
    expectPair(primary, backup);
    expect([primary.bstar.peer, backup.bstar.peer]).toEqual([
      'tcp://backup:5590',
      'tcp://primary:5590',
    ]);
  });

  it('gets its keys from its first service, each node its own', () => {
    for (const name of ['primary', 'backup']) {
      expect(nodeOf(name).bstar.curve).toEqual({
        secretKeyFile: `/run/majordomo/pair/${name}.key`,
        keysFile: '/run/majordomo/pair/keys.yaml',
      });
      expect(services[name]).toMatchObject({
        depends_on: { keys: { condition: 'service_completed_successfully' } },
        volumes: expect.arrayContaining(['keys:/run/majordomo:ro']),
        command: [expect.stringContaining("bstar.curve.serverKey='$$(cat")],
        environment: { OTHER: name === 'primary' ? 'backup' : 'primary' },
      });
    }
    expect(services['keys']).toMatchObject({
      command: ['keygen', '--pair', '/var/lib/majordomo/pair'],
      volumes: ['keys:/var/lib/majordomo'],
    });
  });

  it('is what the example worker and client reach, whatever the image says', () => {
    const ofImage = Object.fromEntries(
      [...read('Dockerfile').matchAll(/^(?:ENV| {3}) (MAJORDOMO_\w+)=(\S+)/gm)].map(
        ([, name = '', value]) => [name, value],
      ),
    );
    const before = process.env;
    try {
      process.env = ofImage;
      expect(checkEndpoints({})).toEqual(['tcp://127.0.0.1:5556']);
      for (const name of ['worker', 'client']) {
        process.env = { ...ofImage, ...services[name]?.environment };
        expect(checkEndpoints({})).toEqual(['tcp://primary:5555', 'tcp://backup:5555']);
      }
    } finally {
      process.env = before;
    }
  });

  it('has no tokens: the environment must provide them', () => {
    for (const name of ['primary', 'backup']) {
      const { environment = {} } = services[name] ?? {};
      expect(environment['MAJORDOMO_HTTP__TOKEN']).toMatch(/^\$\{MAJORDOMO_TOKEN:\?/);
      expect(environment['MAJORDOMO_HTTP__READ_TOKEN']).toMatch(/^\$\{MAJORDOMO_READ_TOKEN:\?/);
    }
  });

  it('gives the token of operators to the brokers alone: Prometheus only reads', () => {
    const holders = Object.entries(services).filter(([, service]) =>
      /\bMAJORDOMO_TOKEN\b/.test(JSON.stringify(service)),
    );
    expect(holders.map(([name]) => name)).toEqual(['primary', 'backup']);
    expect(services['prometheus']?.environment).toEqual({
      MAJORDOMO_READ_TOKEN: expect.stringMatching(/^\$\{MAJORDOMO_READ_TOKEN\}$/),
    });
    const { http } = nodeOf('primary');
    expect(http.tokens).toMatchObject([{ name: 'http.readToken', role: 'read' }]);
  });
});

interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

/** The documents of a file, by kind and name. */
function manifests(file: string): Map<string, Record<string, unknown>> {
  const found = new Map<string, Record<string, unknown>>();
  for (const document of parseAllDocuments(read(file))) {
    expect(document.errors).toEqual([]);
    const value = document.toJS() as { kind: string; metadata: { name: string } };
    found.set(`${value.kind} ${value.metadata.name}`, { ...value });
  }
  return found;
}

const SECRET = '/run/secrets/majordomo-pair';

describe('the pair of deploy/kubernetes', () => {
  let crypto: CurveCrypto;
  beforeAll(async () => {
    crypto = await loadSodium();
  });

  const all = manifests('deploy/kubernetes/pair.yaml');
  const { data } = all.get('ConfigMap majordomo') as { data: Record<string, string> };
  const set = all.get('StatefulSet majordomo') as {
    spec: {
      template: {
        metadata: { labels: unknown };
        spec: { terminationGracePeriodSeconds: number; containers: Container[] };
      };
    };
  };
  const pod = set.spec.template;
  const [container] = pod.spec.containers;

  /** The arguments of the broker in the command of a pod. */
  function nodeOf(podName: string): { readonly config: Config; readonly role: string } {
    const directory = mkdtempSync(join(tmpdir(), 'mdp-'));
    directories.push(directory);
    makePairKeys(directory, crypto);
    const command = container?.args[0]?.replaceAll(SECRET, directory) ?? '';
    const fake = '#!/bin/sh\nprintf "%s\\n" "$@"\n';
    writeFileSync(join(directory, 'majordomo'), fake, { mode: 0o755 });
    const { stdout } = spawnSync('/bin/sh', ['-c', command], {
      encoding: 'utf8',
      env: { POD_NAME: podName, PATH: `${directory}:/usr/bin:/bin` },
    });
    const sets = stdout.split('\n').filter((word) => word.includes('='));
    const role = sets.find((each) => each.startsWith('bstar.role='))?.split('=')[1] ?? '';
    const others = sets.filter((each) => !each.startsWith('bstar.role='));
    const text = (data['majordomo.yaml'] ?? '').replaceAll(SECRET, directory);
    return { config: load({ text, sets: others }).config, role };
  }

  it.each(['majordomo-0', 'majordomo-1'])('%s has the key of the other one', (name) => {
    const { config, role } = nodeOf(name);
    const { keysFile, serverKey } = config.bstar.curve ?? {};
    const other = role === 'primary' ? 'backup' : 'primary';
    expect(serverKey).toBe(
      readFileSync(join(dirname(keysFile ?? ''), `${other}.key.pub`), 'latin1').trim(),
    );
    const mounts = container?.volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toContain(SECRET);
  });

  it('is a primary and a backup, by the number of their pod', () => {
    const [primary, backup] = [nodeOf('majordomo-0'), nodeOf('majordomo-1')];
    expect([primary.role, backup.role]).toEqual(['primary', 'backup']);
    expectPair(primary.config, backup.config);
    expect(primary.config.bstar.peer).toBe('tcp://majordomo-1.majordomo:5590');
    expect(backup.config.bstar.peer).toBe('tcp://majordomo-0.majordomo:5590');
  });

  it('uses the ports and the data directory of the configuration', () => {
    const { config } = nodeOf('majordomo-0');
    const [listener] = config.broker.listen;
    expect(
      container?.ports.map(({ name, containerPort }) => [name, String(containerPort)]),
    ).toEqual([
      ['mdp', portOf(listener?.endpoint ?? null)],
      ['http', portOf(config.http.listen)],
      ['peer', portOf(config.bstar.listen)],
    ]);
    const mount = container?.volumeMounts.find(({ name }) => name === 'data');
    expect(config.node.dataDir).toBe(`${mount?.mountPath ?? ''}/data`);
    expect(container?.env.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['MAJORDOMO_HTTP__TOKEN', 'MAJORDOMO_HTTP__READ_TOKEN']),
    );
  });

  it('can be reached on both nodes, passive or not: takeover needs a client that asks', () => {
    expect(all.get('Service majordomo')).toMatchObject({
      spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector: pod.metadata.labels },
    });
    expect(set.spec).toMatchObject({ serviceName: 'majordomo', podManagementPolicy: 'Parallel' });
  });

  it('is restarted when it is not alive, not when it is passive', () => {
    expect(container).toMatchObject({
      livenessProbe: { httpGet: { path: '/livez', port: 'http' } },
      startupProbe: { httpGet: { path: '/livez', port: 'http' } },
      readinessProbe: { httpGet: { path: '/servez', port: 'http' } },
    });
  });

  it('gets longer to end than shutdown.graceMs', () => {
    const { terminationGracePeriodSeconds: seconds } = pod.spec;
    expect(seconds * 1000).toBeGreaterThan(
      2 * Number(SECTIONS['shutdown']?.keys['graceMs']?.default),
    );
  });
});
