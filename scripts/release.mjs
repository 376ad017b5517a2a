/**
 * Makes everything that a release has, in release/: `npm run release`. It publishes nothing.
 *
 *     majordomo-broker-VERSION.tgz, majordomo-sdk-VERSION.tgz   the packages
 *     majordomo_client-VERSION-py3-none-any.whl, majordomo_client-VERSION.tar.gz   the Python package
 *     majordomo_VERSION_ARCH.tar.gz, majordomo_VERSION_ARCH.deb  the broker with its Node, for this machine's
 *                                                               architecture: to unpack, to install
 *     …-VERSION.cdx.json                                        their bills of materials (CycloneDX)
 *     majordomo-broker-VERSION-image.tar.gz                     the image's build context
 *     CHANGES.md                                                the changelog's section of the version
 *     SHA256SUMS                                                the checksums of all of them
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const TARGET = join(ROOT, 'release');
/** A name that nobody can register (RFC 2606): the repository's address is still to be set. */
const RESERVED_HOST = /^git\+https:\/\/([^/]*\.)?example\.(org|com|net)\//;

const PACKAGES = ['.', 'packages/sdk'];

class Refusal extends Error {}

function text(path) {
  return readFileSync(join(ROOT, path), 'utf8');
}

function manifestOf(path) {
  return JSON.parse(text(join(path, 'package.json')));
}

/** What it prints; it fails the release if the command fails. */
function output(command, args, cwd = ROOT) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 256 * 1_048_576,
  });
  if (status === 0) return stdout;
  throw new Refusal(`"${command} ${args.join(' ')}" failed:\n${stdout ?? ''}${stderr ?? ''}`);
}

function run(title, command, args, env = {}) {
  console.log(`\n== ${title}`);
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Refusal(`${title}: failed, see above.`);
}

function checkTree() {
  const changes = output('git', ['status', '--porcelain']).trimEnd();
  if (changes === '') return;
  throw new Refusal(`The working tree has changes. Commit or remove them first:\n${changes}`);
}

/** @returns the version of both packages */
function checkVersions() {
  const [broker, sdk] = PACKAGES.map(manifestOf);
  if (broker.version !== sdk.version) {
    throw new Refusal(
      `package.json has version ${broker.version}, packages/sdk/package.json has ${sdk.version}. ` +
        'Give both the same version.',
    );
  }
  return broker.version;
}

/** The section of the version in CHANGELOG.md. */
function changesOf(version) {
  const sections = text('CHANGELOG.md').split(/^(?=## )/m);
  const section = sections.find((found) => found.startsWith(`## [${version}]`));
  if (section === undefined) {
    throw new Refusal(
      `CHANGELOG.md has no section "## [${version}]". ` +
        `Rename "## [Unreleased]" to "## [${version}] - YYYY-MM-DD", or change the version in both package.json files.`,
    );
  }
  const [heading, ...rest] = section.split('\n');
  if (rest.join('').trim() === '') throw new Refusal(`CHANGELOG.md: "${heading}" is empty.`);
  return section;
}

/** The files that the Dockerfile copies, as .dockerignore lists them, and both of these. */
function imageFiles() {
  const named = text('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  // `deploy` is named only so that a folder in it can be.
  const files = named.filter((path) => !named.some((other) => other.startsWith(`${path}/`)));
  const copied = text('Dockerfile').matchAll(/^COPY (?!--from)(?:--\S+ )*(.*) \S+$/gm);
  for (const path of Array.from(copied, ([, paths]) => paths.split(' ')).flat()) {
    const folder = path.replace(/\/$/, '');
    if (files.some((file) => folder === file || folder.startsWith(`${file}/`))) continue;
    throw new Refusal(`The Dockerfile copies ${path}, which .dockerignore leaves out.`);
  }
  return ['Dockerfile', '.dockerignore', ...files];
}

function sumOf(name) {
  return createHash('sha256')
    .update(readFileSync(join(TARGET, name)))
    .digest('hex');
}

function release() {
  checkTree();
  const version = checkVersions();
  const changes = changesOf(version);
  const inImage = imageFiles();

  rmSync(TARGET, { recursive: true, force: true });
  mkdirSync(TARGET);
  run('Format, lint, types, rooms, dead code', 'npm', ['run', '--silent', 'check']);
  // Nothing of an earlier build. (Both are built once, by the first `prepack`.)
  for (const built of ['compiled', 'dist']) {
    rmSync(join(ROOT, built), { recursive: true, force: true });
  }
  for (const path of PACKAGES) {
    const { name } = manifestOf(path);
    run(`Package ${name}`, 'npm', ['pack', '--silent', '--pack-destination', TARGET, `./${path}`]);
  }
  run('Python package', 'python3', ['packages/python/make_packages.py', TARGET]);
  run('Archive and Debian package', process.execPath, ['scripts/package-linux.mjs', TARGET]);
  run('Build of the tests', 'npm', ['run', '--silent', 'build:test']);
  const test = [
    'run',
    '--silent',
    'jest',
    '--',
    'test/process/deploy/packages',
    'test/shipped/machine',
  ];
  run('Tests of the packages', 'npm', test, { MAJORDOMO_TARBALLS: TARGET });

  const write = (name, content) => writeFileSync(join(TARGET, name), content);
  for (const path of PACKAGES) {
    write(
      `${manifestOf(path).name}-${version}.cdx.json`,
      output(process.execPath, ['scripts/sbom.mjs', path]),
    );
  }
  const image = join(TARGET, `majordomo-broker-${version}-image.tar.gz`);
  output('git', ['archive', '--format=tar.gz', '--output', image, 'HEAD', ...inImage]);
  write('CHANGES.md', changes);
  const made = readdirSync(TARGET).sort();
  write('SHA256SUMS', made.map((name) => `${sumOf(name)}  ${name}\n`).join(''));

  console.log(`\nMajordomo ${version}, in ${TARGET}. Nothing was published.\n`);
  console.log(text('release/SHA256SUMS'));
  console.log(`Publish with: npm publish release/majordomo-broker-${version}.tgz (and -sdk-)`);
  if (RESERVED_HOST.test(manifestOf('.').repository.url)) {
    console.log('First set "repository" in both package.json files: its address is an example.');
  }
}

try {
  release();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`\nNo release. ${error.message}`);
  process.exitCode = 1;
}
