/**
 * Makes, from the package of the broker that is in FOLDER, what a Linux machine without Node can run:
 *
 *     majordomo_VERSION_ARCH.tar.gz   bin/majordomo starts it, wherever it is unpacked
 *     majordomo_VERSION_ARCH.deb      the same files in /usr, with unit, user and configuration
 *
 *     node scripts/package-linux.mjs FOLDER [EARLIER]
 *
 * It makes them for the machine that it runs on, with the Node that package-lock.json names. All files have the time
 * of SOURCE_DATE_EPOCH. From the same package come the same bytes, but for what V8 compiles ahead: that depends on
 * which functions run in the moments of a start. With EARLIER, a folder with an archive of this version, this is taken from there.
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
  statSync,
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

/** Seconds since 1970; without it, these files are for this machine alone. */
const EPOCH = process.env.SOURCE_DATE_EPOCH ?? String(Math.floor(Date.now() / 1000));

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

/** Gives all files of `tree` the same time, and the right of all to read them: npm unpacks some without it. */
function makeEven(tree) {
  run('chmod', ['--recursive', 'u=rwX,go=rX', tree]);
  run('find', [tree, '-exec', 'touch', '--no-dereference', `--date=@${EPOCH}`, '{}', '+']);
}

/** Puts what V8 has compiled beside the modules of the program in `lib`. */
function compileAhead(lib, name, earlier) {
  if (earlier === undefined) {
    run(join(lib, 'node'), [source('scripts/compile-ahead.mjs'), join(lib, 'dist')]);
    return;
  }
  const from = ['--file', join(earlier, `${name}.tar.gz`), '--strip-components=3'];
  const compiled = ['--wildcards', `${name}/lib/majordomo/dist/code/*.compiled`];
  run('tar', ['--extract', ...from, '--directory', lib, ...compiled]);
}

/** Fills `tree`, which has the layout of /usr. */
function makeTree(tree, name, archive, work, earlier) {
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
  compileAhead(lib, name, earlier);
  // The name by which the program calls itself when it says what to type next.
  symlinkSync('dist/main.js', join(lib, 'majordomo'));
  // What is left are documents and examples, and the SDK, which programs install with npm.
  for (const path of ['packages', 'scripts']) rmSync(join(unpacked, path), { recursive: true });
  renameSync(unpacked, doc);
  writeFileSync(join(doc, 'LICENSE.node'), licence);
  put(source('deploy/debian/majordomo.sh'), join(tree, 'bin/majordomo'), 0o755);
  makeEven(tree);
}

function makeArchive(tree, name, target) {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  // S: the targets of links stay as they are.
  const top = [`--transform=s,^[.],${name},S`, '--show-transformed-names'];
  const file = join(target, `${name}.tar.gz`);
  // gzip writes no name and no time.
  const made = ['--create', '--use-compress-program=gzip -n', '--file', file];
  run('tar', [...made, ...owner, ...top, '--directory', tree, '.']);
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

/**
 * As Debian counts: each file in whole KiB, and one for each folder, whatever the file system takes for it. What V8 has
 * compiled has another size in each release that is made of the same commit, and is left out.
 */
function installedKib(root) {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter(
    ({ name }) => !name.endsWith('.compiled'),
  );
  return entries.reduce(
    (sum, each) =>
      sum + (each.isFile() ? Math.ceil(statSync(join(each.parentPath, each.name)).size / 1024) : 1),
    0,
  );
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

  const [, version, architecture] = name.split('_');
  const text = control(manifest, version, architecture, installedKib(root));
  writeFileSync(join(root, 'DEBIAN/control'), text);
  writeFileSync(join(root, 'DEBIAN/conffiles'), `${CONFIGURATION}\n`);
  put(source('deploy/debian/templates'), join(root, 'DEBIAN/templates'));
  for (const script of SCRIPTS) {
    put(source(`deploy/debian/${script}`), join(root, 'DEBIAN', script), 0o755);
  }
  makeEven(root);
  // gzip: xz makes it a third smaller, and takes a minute. (The time in the archive is SOURCE_DATE_EPOCH.)
  const made = ['--root-owner-group', '-Zgzip', '--build', root, join(target, `${name}.deb`)];
  run('dpkg-deb', made);
}

const [, , target, earlier] = process.argv;
if (target === undefined) throw new Error('usage: node scripts/package-linux.mjs FOLDER [EARLIER]');
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
  makeTree(tree, name, resolve(target, archive), work, earlier);
  makeArchive(tree, name, resolve(target));
  makeDebian(tree, name, manifest, resolve(target), work);
} finally {
  rmSync(work, { recursive: true, force: true });
}
