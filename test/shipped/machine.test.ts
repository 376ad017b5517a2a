/** The archive and the Debian package, each installed on a Debian 12 that has no Node; the second one boots. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EXIT } from '../../src/core/exit.js';
import { debianRoot } from '../support/debian-root.js';
import { PairLoad } from '../support/pair-load.js';
import { LONG_TEST_MS } from '../support/patience.js';
import type { Ran } from '../support/podman.js';
import { run } from '../support/tarballs.js';
import { itWithTool, toolAvailable } from '../support/tools.js';
import { until } from '../support/until.js';

const TOOL = 'root, systemd-nspawn, dpkg-deb and mmdebstrap';
const CONFIG = '/etc/majordomo/majordomo.yaml';
const DATA = '/var/lib/majordomo';
/** A listener that programs outside of the machine's network reach, too. */
const SOCKET = '/run/majordomo/clients.sock';
const UPPER = 'majordomo worker upper -- tr a-z A-Z';
const APT = 'DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet --yes';

let folder = '';
let root = '';
/** The archive and the package, without folder. */
let archive = '';
let debian = '';
/** The process 1 of the machine, and the program that runs it and halts it on SIGTERM. */
let init = 0;
let machine: ChildProcess | undefined;

/** The files of this version: those of a release that is being made, or new ones. */
function makeFiles(): void {
  let made = process.env['MAJORDOMO_TARBALLS'];
  if (made === undefined) {
    made = join(folder, 'release');
    mkdirSync(made);
    run(process.execPath, ['scripts/prepare.mjs'], '.');
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', made, '.'], '.');
    run(process.execPath, ['scripts/package-linux.mjs', made], '.');
  }
  const named = (end: string): string => {
    const name = readdirSync(made).find((file) => /^majordomo_\d/.test(file) && file.endsWith(end));
    if (name === undefined) throw new Error(`${made} has no file majordomo_*${end}`);
    copyFileSync(join(made, name), join(root, 'srv', name));
    return name;
  };
  archive = named('.tar.gz');
  debian = named('.deb');
}

/** Makes the package of the next patch version, which differs in its number alone. @returns this number */
function makeNextPatch(): string {
  const tree = join(folder, 'next');
  run('dpkg-deb', ['--raw-extract', join(root, 'srv', debian), tree], '/');
  const [, head = '', patch] = /^majordomo_(\d+\.\d+\.)(\d+)/.exec(debian) ?? [];
  const next = `${head}${Number(patch) + 1}`;
  for (const [path, line, to] of [
    ['DEBIAN/control', /^Version: .*$/m, `Version: ${next}`],
    ['usr/lib/majordomo/package.json', /^ {2}"version": .*$/m, `  "version": "${next}",`],
  ] as const) {
    const text = readFileSync(join(tree, path), 'utf8');
    writeFileSync(join(tree, path), text.replace(line, to));
  }
  const made = ['-z1', '-Zgzip', '--build', tree, join(root, 'srv/next.deb')];
  run('dpkg-deb', ['--root-owner-group', ...made], '/');
  rmSync(tree, { recursive: true });
  return next;
}

/** Starts the machine, with nothing but a loopback network. */
async function boot(): Promise<void> {
  const options = ['--quiet', '--register=no', '--keep-unit', '--private-network', '--boot'];
  machine = spawn('systemd-nspawn', [...options, '--directory', root], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const pid = String(machine.pid);
  const children = `/proc/${pid}/task/${pid}/children`;
  await until(() => {
    init = Number(readFileSync(children, 'utf8').trim().split(' ')[0]);
    return init > 0 && /running|degraded/.test(ran('systemctl is-system-running --wait').stdout);
  }, 'the machine is up');
}

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
};

/** The arguments of nsenter for a line of shell in the machine. */
function entering(line: string): string[] {
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid'];
  return [...namespaces, '--target', String(init), '--', '/bin/sh', '-c', line];
}

/** Runs a line of shell in the machine. */
function ran(line: string): Ran {
  return spawnSync('nsenter', entering(line), { encoding: 'utf8', env: ENVIRONMENT });
}

/** Like `inside`, while this process goes on. */
async function besides(line: string): Promise<void> {
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  const child = spawn('nsenter', entering(line), { env: ENVIRONMENT, stdio: [...stdio] });
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(`${line}: failed (${String(child.exitCode)})`);
}

/** @returns what it printed; @throws if it fails */
function inside(line: string): string {
  const { status, stdout, stderr } = ran(line);
  if (status === 0) return stdout;
  throw new Error(`${line}: failed (${String(status)})\n${stdout}${stderr}`);
}

/** A property of the unit. */
function shown(name: string): string {
  return inside(`systemctl show --property ${name} --value majordomo`).trim();
}

/** One request, to a worker that lives as long as that. */
function ask(): string {
  return inside(`${UPPER} & worker=$!; majordomo request upper hello; kill $worker`);
}

beforeAll(async () => {
  if (!toolAvailable(TOOL)) return;
  folder = mkdtempSync(join(tmpdir(), 'majordomo-machine-'));
  root = join(folder, 'root');
  mkdirSync(root);
  run('tar', ['--extract', '--file', debianRoot(), '--directory', root], '/');
  makeFiles();
  await boot();
}, 1_200_000);

afterAll(async () => {
  if (folder === '') return;
  if (machine?.kill('SIGTERM') === true) await once(machine, 'close');
  rmSync(folder, { recursive: true, force: true });
});

describe('the archive', () => {
  itWithTool(TOOL, 'starts a broker, a worker and a client by a link, for any user', () => {
    const unpacked = archive.replace('.tar.gz', '');
    inside(
      `tar -xf /srv/${archive} -C /opt && ln -s /opt/${unpacked}/bin/majordomo /usr/local/bin`,
    );
    expect(ran('command -v node').status).not.toBe(0);
    const broker =
      'cd /tmp && script --quiet --flush --command "exec majordomo serve" log >/dev/null & broker=$!';
    const script = `${broker}; ${UPPER} & worker=$!; majordomo request upper hello; kill $worker $broker; wait $broker`;
    expect(inside(`setpriv --reuid nobody --regid nogroup --clear-groups sh -c '${script}'`)).toBe(
      'HELLO\n',
    );
    // What it said to try next, at its terminal.
    expect(inside('cat /tmp/log')).toContain('\n  majordomo request upper hello\r\n');
    inside(`rm -r /opt/${unpacked} /usr/local/bin/majordomo`);
  });
});

describe('the Debian package', () => {
  itWithTool(
    TOOL,
    'starts the broker when it is installed, and at every start of the machine',
    () => {
      inside(`${APT} install /srv/${debian}`);
      expect(inside('systemctl is-active majordomo; systemctl is-enabled majordomo')).toBe(
        'active\nenabled\n',
      );
      expect(ask()).toBe('HELLO\n');
      expect(inside(`stat --format '%a %U' ${DATA}`)).toBe('700 majordomo\n');
      expect(shown('StatusText')).toMatch(/worker/);
    },
  );

  itWithTool(TOOL, 'has a unit without a warning, and with an exposure below 3.0', () => {
    expect(ran('systemd-analyze verify majordomo.service')).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const { status, stdout } = ran('systemd-analyze security --threshold=29 majordomo');
    expect([status, stdout.split('\n').at(-2)]).toEqual([0, expect.stringContaining('OK')]);
  });

  itWithTool(TOOL, 'runs the broker in the sandbox of its unit', () => {
    const status = inside(`cat /proc/${shown('MainPID')}/status`);
    for (const line of ['NoNewPrivs:\t1', 'Seccomp:\t2', 'CapBnd:\t0000000000000000']) {
      expect(status).toContain(`${line}\n`);
    }
    // A program in the mounts of the broker, as root, who could write there otherwise.
    const within = `nsenter --mount --target ${shown('MainPID')} -- /bin/sh -c`;
    for (const path of ['/usr', '/etc', '/opt']) {
      expect([path, ran(`${within} 'touch ${path}/new'`).stderr]).toEqual([
        path,
        expect.stringContaining('Read-only'),
      ]);
    }
    expect(ran(`${within} 'touch ${DATA}/new && rm ${DATA}/new'`).status).toBe(0);
  });

  itWithTool(TOOL, 'reloads the configuration, and starts a killed broker again', async () => {
    inside('systemctl reload majordomo');
    await until(
      () => inside('journalctl -u majordomo -o cat').includes('config.reloaded'),
      'the reload',
    );
    inside('systemctl kill --signal SIGKILL --kill-who main majordomo');
    await until(
      () => shown('NRestarts') === '1' && shown('ActiveState') === 'active',
      'the restart',
    );
    expect(ask()).toBe('HELLO\n');
  });

  itWithTool(
    TOOL,
    'loses nothing and refuses nothing for good when it is upgraded under load',
    async () => {
      const listen = `listen: [tcp://127.0.0.1:5555, 'ipc://${SOCKET}']`;
      inside(`sed -i "s|^  listen: .*|  ${listen}|" ${CONFIG} && systemctl restart majordomo`);
      const next = makeNextPatch();
      const before = shown('MainPID');
      const load = new PairLoad([`ipc:///proc/${init}/root${SOCKET}`]);
      try {
        load.start();
        await load.progress();
        const stored = new Set([...load.open.keys(), ...load.closed]);
        await besides(`${APT} install /srv/next.deb`);
        expect(inside(`majordomo status -c ${CONFIG}`)).toMatch(
          new RegExp(`^version +${next}$`, 'm'),
        );
        expect(shown('MainPID')).not.toBe(before);
        await load.progress();
        await load.stop();
        await load.check();
        expect(load.errors).toEqual([]);
        expect(load.open.size + load.closed.size).toBeGreaterThan(stored.size);
      } finally {
        await load.close();
      }
    },
    LONG_TEST_MS,
  );

  itWithTool(TOOL, 'leaves the configuration and what is stored when it is removed', () => {
    const uuid = inside('majordomo request --durable --no-wait later hello').trim();
    inside(`${APT} remove majordomo`);
    const left = 'systemctl is-active majordomo; ls -d /usr/bin/majordomo /usr/lib/majordomo';
    expect(ran(left).stdout).toBe('inactive\n');
    // (The version before: one that is removed may be followed by any.)
    inside(`${APT} install /srv/${debian}`);
    expect(inside(`majordomo durable show ${uuid} -c ${CONFIG}`)).toContain('pending');
  });

  itWithTool(
    TOOL,
    'stops the broker without an error, and keeps what the administrator wrote',
    () => {
      inside('systemctl stop majordomo');
      expect([shown('Result'), shown('ExecMainStatus')]).toEqual(['success', '0']);
      inside(`sed -i 's/5555/5556/' ${CONFIG}`);
      inside(`${APT} install --reinstall /srv/${debian}`);
      expect(inside(`cat ${CONFIG}`)).toContain('5556');
      expect(inside('majordomo status -c /etc/majordomo/majordomo.yaml')).toMatch(
        /^ready +serving clients$/m,
      );
    },
  );

  itWithTool(TOOL, 'does not restart a broker whose configuration is wrong', () => {
    inside(`sed -i 's/listen:/lissen:/' ${CONFIG}`);
    expect(ran('systemctl restart majordomo').status).not.toBe(0);
    expect([shown('ActiveState'), shown('ExecMainStatus')]).toEqual([
      'failed',
      String(EXIT.config),
    ]);
    expect(inside('journalctl -u majordomo -o cat')).toContain('broker.lissen');
  });

  itWithTool(TOOL, 'keeps the data when it is purged and nobody can be asked, and says so', () => {
    const said = ran(`${APT} purge majordomo 2>&1`).stdout;
    expect(said).toContain(`${DATA} was kept; to remove it: rm -r ${DATA}`);
    expect(said).not.toContain('/etc/majordomo was kept');
    expect(existsSync(join(root, DATA, 'titanic.db'))).toBe(true);
    const left = inside('find /etc /usr /run /var/lib/systemd -name "*majordomo*"');
    expect(left).toBe('');
  });

  itWithTool(TOOL, 'removes the data when it is purged and the answer is yes', () => {
    inside(`${APT} install /srv/${debian}`);
    expect(ask()).toBe('HELLO\n');
    inside("echo 'majordomo majordomo/purge-data boolean true' | debconf-set-selections");
    inside(`${APT} purge majordomo`);
    expect(inside(`ls -d ${DATA} /etc/majordomo 2>/dev/null || true`)).toBe('');
  });
});
