/** The image, built by the Dockerfile and run as deploy/README.md says. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { EXIT } from '../../src/core/exit.js';
import { debianRoot } from '../support/debian-root.js';
import { Podman, type Ran } from '../support/podman.js';
import { run } from '../support/tarballs.js';
import { itWithTool, toolAvailable } from '../support/tools.js';
import { until } from '../support/until.js';

const TOOL = 'root, podman and mmdebstrap';
const IMAGE = 'localhost/majordomo-broker';
const NAME = 'majordomo';
/** The options of deploy/README.md, with a network of its own instead of published ports. */
const LOCKED = [
  ...['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges', '--stop-timeout', '30', '--network', 'none'],
];
const CONFIG = '/etc/majordomo/majordomo.yaml';
const WITH_KEY =
  'majordomo request upper hello --endpoint tcp://127.0.0.1:5555 ' +
  '--curve-key-file keys/client.key --curve-server-key "$(cat keys/broker.key.pub)"';
const WITHOUT_KEY = 'majordomo request upper hello --endpoint tcp://127.0.0.1:5555 --timeout 1s';

let folder = '';
let podman: Podman;

/**
 * Debian alone, and Debian with this Node and the npm of Node.js 24, where the official images have them.
 * The second also trusts and prefers what npm trusts and has on this machine.
 */
function buildBases(): void {
  podman.run('import', '--quiet', debianRoot(), 'localhost/debian');
  const context = join(folder, 'context');
  mkdirSync(context);
  cpSync(process.execPath, join(context, 'node'));
  // Not the machine's own npm: Debian's has what it needs in other packages.
  run('npm', ['install', '--silent', '--global', '--prefix', context, 'npm@11.21.2'], '/');
  cpSync('/etc/ssl/certs/ca-certificates.crt', join(context, 'ca.crt'));
  const dockerfile = [
    'FROM localhost/debian',
    'COPY node /usr/local/bin/node',
    'COPY lib/ /usr/local/lib/',
    'COPY ca.crt /etc/ssl/certs/ca-certificates.crt',
    'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm_config_prefer_offline=true',
    'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm',
  ];
  writeFileSync(join(context, 'Dockerfile'), dockerfile.join('\n'));
  podman.run('build', ...BUILD, '--tag', 'localhost/node', context);
}

const BUILD = [
  '--quiet',
  '--pull-never',
  '--isolation',
  'chroot',
  '--format',
  'docker',
  '--layers=false',
];

/** The folder that the image is built from: the build context of a release that is being made, or this one. */
function buildContext(): string {
  const made = process.env['MAJORDOMO_TARBALLS'];
  if (made === undefined) return resolve('.');
  const archive = readdirSync(made).find((name) => name.endsWith('-image.tar.gz')) ?? '';
  const unpacked = join(folder, 'unpacked');
  mkdirSync(unpacked);
  run('tar', ['--extract', '--file', join(made, archive), '--directory', unpacked], '/');
  return unpacked;
}

function start(name: string, ...options: readonly string[]): void {
  podman.run('run', '--detach', '--name', name, ...LOCKED, ...options, IMAGE);
}

function inside(...command: readonly string[]): Ran {
  return podman.ran('exec', NAME, ...command);
}

const health = (name: string): number | null => podman.ran('healthcheck', 'run', name).status;

beforeAll(async () => {
  if (!toolAvailable(TOOL)) return;
  folder = mkdtempSync(join(tmpdir(), 'majordomo-image-'));
  podman = await Podman.start(folder);
  buildBases();
  const bases = ['NODE_IMAGE=localhost/node', 'BASE_IMAGE=localhost/debian'];
  const args = bases.flatMap((base) => ['--build-arg', base]);
  const cache = run('npm', ['config', 'get', 'cache'], '/').trim();
  mkdirSync(cache, { recursive: true });
  args.push('--volume', `${cache}:/root/.npm`);
  podman.run('build', ...BUILD, ...args, '--tag', IMAGE, buildContext());
  start(NAME);
  await until(() => health(NAME) === 0, 'the container is healthy');
  podman.run('exec', '--detach', NAME, 'majordomo', 'worker', 'upper', '--', 'tr', 'a-z', 'A-Z');
}, 1_200_000);

afterAll(async () => {
  if (folder === '') return;
  await podman.end();
  rmSync(folder, { recursive: true, force: true });
});

describe('the image', () => {
  itWithTool(TOOL, 'admits its first client over a network, with the key that it made', () => {
    expect(inside('sh', '-c', WITH_KEY)).toMatchObject({ status: 0, stdout: 'HELLO\n' });
  });

  itWithTool(TOOL, 'admits nobody over a network without a key (D78)', () => {
    expect(inside('sh', '-c', WITHOUT_KEY).status).not.toBe(0);
  });

  itWithTool(TOOL, 'admits commands in the container without a key, and the token it made', () => {
    expect(inside('majordomo', 'request', 'upper', 'hello').stdout).toBe('HELLO\n');
    expect(inside('majordomo', 'status', '-c', CONFIG).stdout).toMatch(/^ready +serving clients$/m);
  });

  itWithTool(TOOL, 'runs as a user that is not root, given by its number', () => {
    const user = podman.run('image', 'inspect', '--format', '{{.User}}', IMAGE).trim();
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(inside('sh', '-c', 'echo "$(id -u):$(id -g)"').stdout.trim()).toBe(user);
  });

  itWithTool(
    TOOL,
    'has neither npm nor a compiler, and exposes what its configuration uses',
    () => {
      for (const tool of ['npm', 'gcc', 'make', 'python3']) {
        expect([tool, inside('sh', '-c', `command -v ${tool}`).stdout]).toEqual([tool, '']);
      }
      const exposed = podman.run('image', 'inspect', '--format', '{{.Config.ExposedPorts}}', IMAGE);
      expect(exposed.match(/\d+\/tcp/g)).toEqual(['5555/tcp', '5580/tcp', '5590/tcp']);
    },
  );

  itWithTool(TOOL, 'is not healthy if /livez does not answer', () => {
    start('silent', '--env', 'MAJORDOMO_HTTP__LISTEN=off');
    expect(health('silent')).toBe(1);
  });

  itWithTool(
    TOOL,
    'drains on SIGTERM, and has its keys again when it is started again',
    async () => {
      const key = inside('cat', 'keys/broker.key.pub').stdout;
      expect(key).toMatch(/^.{40}\n$/);
      podman.run('stop', NAME);
      expect(podman.run('inspect', '--format', '{{.State.ExitCode}}', NAME)).toBe('0\n');
      expect(podman.run('logs', NAME)).toContain('"event":"broker.stopped"');
      podman.run('start', NAME);
      await until(() => health(NAME) === 0, 'the container is healthy again');
      expect(inside('cat', 'keys/broker.key.pub').stdout).toBe(key);
    },
  );

  itWithTool(TOOL, 'exits with 78 if its configuration is wrong, and says what is', () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(
      file,
      readFileSync('deploy/container/majordomo.yaml', 'utf8').replace('listen:', 'lissen:'),
    );
    const mount = ['--volume', `${file}:${CONFIG}:ro`];
    const { status, stderr } = podman.ran('run', '--rm', ...LOCKED, ...mount, IMAGE);
    expect(status).toBe(EXIT.config);
    expect(stderr).toContain('broker.lissen');
  });
});
