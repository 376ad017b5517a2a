/**
 * Makes, from the package of the broker that is in FOLDER, what a Linux machine without Node can run:
 *
 *     majordomo_VERSION_ARCH.tar.gz   bin/majordomo starts it, wherever it is unpacked
 *     majordomo_VERSION_ARCH.deb      the same files in /usr, with unit, user and configuration
 *
 *     node scripts/package-linux.mjs FOLDER
 *
 * It makes them for the machine that it runs on, with the Node that package-lock.json names.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SCRIPTS = ['postinst', 'prerm', 'postrm'];
const CONFIGURATION = '/etc/majordomo/majordomo.yaml';
/** What Node needs of its machine, and better-sqlite3, which needs newer ones. */
const DEPENDS = [
  ...['libc6 (>= 2.34)', 'libstdc++6 (>= 11)', 'debconf (>= 0.5) | debconf-2.0'],
  'systemd | systemd-standalone-sysusers | systemd-sysusers',
];
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

const source = (path) => join(ROOT, path);

function run(command, args, cwd = ROOT) {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function put(from, to, mode = 0o644) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
  if (mode !== null) chmodSync(to, mode);
}

/** The dependencies that package-lock.json names, for this machine, and its Node. */
function installModules(folder) {
  for (const path of [
    'package.json',
    'package-lock.json',
    '.npmrc',
    'packages/node/package.json',
  ]) {
    put(source(path), join(folder, path));
  }
  run('npm', ['ci', '--silent', '--ignore-scripts', '--omit=dev', '--prefer-offline'], folder);
  return join(folder, 'node_modules');
}

/** Fills `tree`, which has the layout of /usr. */
function makeTree(tree, archive, work) {
  run('tar', ['--extract', '--file', archive, '--directory', work]);
  const unpacked = join(work, 'package');
  const lib = join(tree, 'lib/majordomo');
  const doc = join(tree, 'share/doc/majordomo');
  mkdirSync(lib, { recursive: true });
  mkdirSync(dirname(doc), { recursive: true });
  const modules = installModules(join(work, 'modules'));
  const node = join(modules, `node-linux-${process.arch}`);
  put(join(node, 'bin/node'), join(lib, 'node'), 0o755);
  const licence = readFileSync(join(node, 'LICENSE'));
  run(process.execPath, [source('scripts/prune-modules.mjs'), modules]);

  for (const path of ['package.json', 'dist']) renameSync(join(unpacked, path), join(lib, path));
  renameSync(modules, join(lib, 'node_modules'));
  run(join(lib, 'node'), [source('scripts/compile-ahead.mjs'), join(lib, 'dist')]);
  // The name by which the program calls itself when it says what to type next.
  symlinkSync('dist/main.js', join(lib, 'majordomo'));
  // What is left are documents and examples, and the SDK, which programs install with npm.
  for (const path of ['packages', 'scripts']) rmSync(join(unpacked, path), { recursive: true });
  renameSync(unpacked, doc);
  writeFileSync(join(doc, 'LICENSE.node'), licence);
  put(source('deploy/debian/majordomo.sh'), join(tree, 'bin/majordomo'), 0o755);
  // npm unpacks some files without the right of others to read them.
  run('chmod', ['--recursive', 'u=rwX,go=rX', tree]);
}

function makeArchive(tree, name, target) {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  // S: the targets of links stay as they are.
  const top = [`--transform=s,^[.],${name},S`, '--show-transformed-names'];
  const file = join(target, `${name}.tar.gz`);
  run('tar', ['--create', '--gzip', '--file', file, ...owner, ...top, '--directory', tree, '.']);
}

function maintainer({ repository }) {
  return `Majordomo <majordomo@${new URL(repository.url.replace(/^git\+/, '')).hostname}>`;
}

function control(manifest, version, architecture, kib) {
  return `Package: majordomo
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer(manifest)}
Installed-Size: ${kib}
Depends: ${DEPENDS.join(', ')}
Section: net
Priority: optional
Description: broker for reliable request-reply over ZeroMQ
 Majordomo (7/MDP, 18/MDP), with durable requests (Titanic) and failover (Binary
 Star). The package contains its own Node.js, which no other program uses.
`;
}

function makeDebian(tree, name, manifest, target, work) {
  const root = join(work, 'debian');
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  renameSync(tree, join(root, 'usr'));
  put(source('deploy/debian/copyright'), join(root, 'usr/share/doc/majordomo/copyright'));
  const unit = 'usr/lib/systemd/system/majordomo.service';
  put(source('deploy/systemd/majordomo.service'), join(root, unit));
  const users = 'usr/lib/sysusers.d/majordomo.conf';
  put(source('deploy/systemd/majordomo.sysusers.conf'), join(root, users));
  put(source('deploy/systemd/majordomo.yaml'), join(root, CONFIGURATION));

  const [kib] = run('du', ['--summarize', '--block-size=1K', '--apparent-size', root]).split('\t');
  const [, version, architecture] = name.split('_');
  const text = control(manifest, version, architecture, kib);
  writeFileSync(join(root, 'DEBIAN/control'), text);
  writeFileSync(join(root, 'DEBIAN/conffiles'), `${CONFIGURATION}\n`);
  put(source('deploy/debian/templates'), join(root, 'DEBIAN/templates'));
  for (const script of SCRIPTS) {
    put(source(`deploy/debian/${script}`), join(root, 'DEBIAN', script), 0o755);
  }
  run('chmod', ['--recursive', 'u=rwX,go=rX', root]);
  // gzip: xz makes it a third smaller, and takes a minute.
  const made = ['--root-owner-group', '-Zgzip', '--build', root, join(target, `${name}.deb`)];
  run('dpkg-deb', made);
}

const [, , target] = process.argv;
if (target === undefined) throw new Error('usage: node scripts/package-linux.mjs FOLDER');
const manifest = JSON.parse(readFileSync(source('package.json'), 'utf8'));
const architecture = ARCHITECTURES[process.arch];
if (process.platform !== 'linux' || architecture === undefined) {
  throw new Error(`there is no Node to pack for ${process.platform} on ${process.arch}`);
}
const archive = `majordomo-broker-${manifest.version}.tgz`;
if (!readdirSync(target).includes(archive)) throw new Error(`${target} has no ${archive}`);

// Debian sorts 1.0~rc.1 before 1.0.
const name = `majordomo_${manifest.version.replace('-', '~')}_${architecture}`;
const work = mkdtempSync(join(tmpdir(), 'majordomo-package-'));
try {
  const tree = join(work, 'tree');
  makeTree(tree, resolve(target, archive), work);
  makeArchive(tree, name, resolve(target));
  makeDebian(tree, name, manifest, resolve(target), work);
} finally {
  rmSync(work, { recursive: true, force: true });
}
