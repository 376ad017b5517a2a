/**
 * Makes everything that a release has, in release/, and tests it: `npm run release`. It publishes nothing.
 *
 *     majordomo-broker-VERSION.tgz, majordomo-sdk-VERSION.tgz   the packages
 *     majordomo_client-VERSION-py3-none-any.whl, majordomo_client-VERSION.tar.gz   the Python package
 *     majordomo_VERSION_ARCH.tar.gz, majordomo_VERSION_ARCH.deb  the broker with its Node, for this machine's
 *                                                               architecture: to unpack, to install
 *     …-VERSION.cdx.json                                        their bills of materials (CycloneDX)
 *     majordomo-broker-VERSION-image.tar.gz                     the image's build context
 *     CHANGES.md                                                the changelog's section of the version
 *     NOT-FOR-PUBLISHING                                        only while the repository's address is an example
 *     SHA256SUMS                                                the checksums of all of them
 *
 * `npm run release -- STEP…` takes only these steps, in this order:
 *
 *     check   what `npm run check` does; without steps it also refuses while .ci/flaky has cases
 *     make    makes the files
 *     again   makes them once more, in another folder and time zone: they must have the same bytes
 *     test    installs each of them where it would be installed
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import {
  differing,
  isReserved,
  markedManifest,
  markedProject,
  withAddresses,
} from './release-texts.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const TARGET = join(ROOT, 'release');
/** Where the files are kept that have other bytes the second time. */
const OTHERS = join(TARGET, 'again');
const SUMS = 'SHA256SUMS';
const TESTS = ['test/process/deploy/packages', 'test/process/deploy/python', 'test/shipped'];

const PACKAGES = ['.', 'packages/sdk'];
const PYTHON = 'packages/python/pyproject.toml';
const MARK = 'NOT-FOR-PUBLISHING';
const WARNING =
  'Not to be published: the address of the repository is an example (docs/releasing.md, step 0).';

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

function run(title, command, args, env = {}, cwd = ROOT) {
  console.log(`\n== ${title}`);
  const { status } = spawnSync(command, args, {
    cwd,
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

/** @returns the version of all packages */
function checkVersions() {
  const [broker, sdk] = PACKAGES.map(manifestOf);
  if (broker.version !== sdk.version) {
    throw new Refusal(
      `package.json has version ${broker.version}, packages/sdk/package.json has ${sdk.version}. ` +
        'Give both the same version.',
    );
  }
  // Python writes 1.0.0rc1 for 1.0.0-rc.1.
  const wanted = broker.version.replace(/-([a-z]+)\.(\d+)$/, '$1$2');
  const [, python] = /^version = "(.*)"$/m.exec(text(PYTHON)) ?? [];
  if (python === wanted) return broker.version;
  throw new Refusal(
    `packages/python/pyproject.toml has version ${python}, package.json has ${broker.version}. Give both the same version.`,
  );
}

/** The section of the version in CHANGELOG.md, to be read elsewhere. */
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
  return withAddresses(section, manifestOf('.').repository.url, version);
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

function sumOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Puts files of a commit into an archive. @param args of `git archive` */
function archiveInto(file, ...args) {
  output('git', ['-c', 'tar.umask=0022', 'archive', '--output', file, ...args]);
}

/** Fills `folder` with the last commit, and with the packages that are installed here. */
function copyInto(folder) {
  const archive = `${folder}.tar`;
  archiveInto(archive, 'HEAD');
  mkdirSync(folder);
  output('tar', ['--extract', '--file', archive, '--directory', folder]);
  const modules = join(folder, 'node_modules');
  // (npm looks into it itself, so it is no link.)
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    const path = join(ROOT, 'node_modules', name);
    // The links of workspaces lead into the copy.
    const target = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : path;
    symlinkSync(target, join(modules, name));
  }
}

function hasExampleAddress() {
  return PACKAGES.some((path) => isReserved(manifestOf(path).repository.url));
}

/** What is made of the copy is refused by npm and PyPI, and stands beside a file that says why. */
function mark(copy, target) {
  const change = (path, marked) =>
    writeFileSync(join(copy, path), marked(readFileSync(join(copy, path), 'utf8')));
  for (const path of PACKAGES) change(join(path, 'package.json'), markedManifest);
  change(PYTHON, markedProject);
  writeFileSync(join(target, MARK), `${WARNING}\n`);
}

/**
 * Makes all files from a copy of the last commit, so that neither the modes of the files here nor what git does not know
 * gets into them.
 * @param copy a folder that does not exist yet
 * @param earlier the folder of files that were made before, from which what V8 has compiled is taken
 */
function makeFiles({ version, changes, inImage }, copy, target, env, earlier) {
  copyInto(copy);
  if (hasExampleAddress()) mark(copy, target);
  const inCopy = (title, ...command) => run(title, ...command, env, copy);
  for (const path of PACKAGES) {
    const args = ['pack', '--silent', '--pack-destination', target, `./${path}`];
    inCopy(`Package ${manifestOf(path).name}`, 'npm', args);
  }
  inCopy('Python package', 'python3', ['packages/python/make_packages.py', target]);
  const linux = ['scripts/package-linux.mjs', target];
  inCopy('Archive and Debian package', process.execPath, earlier ? [...linux, earlier] : linux);
  for (const path of PACKAGES) {
    const bill = output(process.execPath, ['scripts/sbom.mjs', path], copy);
    writeFileSync(join(target, `${manifestOf(path).name}-${version}.cdx.json`), bill);
  }
  const image = join(target, `majordomo-broker-${version}-image.tar.gz`);
  archiveInto(image, '--format=tar.gz', 'HEAD', ...inImage);
  writeFileSync(join(target, 'CHANGES.md'), changes);
  const sums = readdirSync(target)
    .sort()
    .map((name) => `${sumOf(join(target, name))}  ${name}\n`);
  writeFileSync(join(target, SUMS), sums.join(''));
}

function inTemporaryFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-release-'));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function make(what) {
  rmSync(TARGET, { recursive: true, force: true });
  mkdirSync(TARGET);
  inTemporaryFolder((folder) => makeFiles(what, join(folder, 'first'), TARGET, {}));
}

function makeAgain(what) {
  rmSync(OTHERS, { recursive: true, force: true });
  inTemporaryFolder((folder) => {
    const target = join(folder, 'files');
    mkdirSync(target);
    // The first day of the calendar is not the same there.
    const env = { TZ: 'Pacific/Kiritimati' };
    makeFiles(what, join(folder, 'the-second-folder'), target, env, TARGET);
    const [first, second] = [TARGET, target].map((each) => readFileSync(join(each, SUMS), 'utf8'));
    const others = differing(first, second);
    if (others.length === 0) return;
    output('cp', ['--recursive', target, OTHERS]);
    throw new Refusal(
      `The second time, other bytes were made, which are in ${OTHERS}:\n${others.join('\n')}`,
    );
  });
  console.log('\nMade again: the same bytes.');
}

function test() {
  run('Build', process.execPath, ['scripts/prepare.mjs']);
  run('Build of the tests', 'npm', ['run', '--silent', 'build:test']);
  const jest = ['run', '--silent', 'jest', '--', '--runInBand', ...TESTS];
  // A tool that is missing fails the test that needs it.
  run('Tests of the files', 'npm', jest, { MAJORDOMO_TARBALLS: TARGET, CI: 'true' });
}

const STEPS = {
  check: () => run('Format, lint, types, rooms, dead code', 'npm', ['run', '--silent', 'check']),
  make,
  again: makeAgain,
  test,
};

function checkFlaky() {
  const cases = text('.ci/flaky')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (cases.length > 0) {
    throw new Refusal(`Cases in .ci/flaky are not mended:\n${cases.join('\n')}`);
  }
}

function warnOfAddress() {
  if (hasExampleAddress()) console.log(`\n${WARNING}`);
}

function release(named) {
  const unknown = named.filter((step) => !Object.hasOwn(STEPS, step));
  if (unknown.length > 0) throw new Refusal(`There is no step ${unknown.join(', ')}.`);
  const taken = Object.keys(STEPS).filter((name) => named.length === 0 || named.includes(name));
  const isMaking = taken.includes('make');
  // (`again` compares the last commit with what was made of it: tests beside it may leave files for a while.)
  if (isMaking) checkTree();
  if (taken.includes('again') && !isMaking && !existsSync(join(TARGET, SUMS))) {
    throw new Refusal(`There is nothing to compare with in ${TARGET}: take the step make first.`);
  }
  const version = checkVersions();
  const what = { version, changes: changesOf(version), inImage: imageFiles() };
  if (named.length === 0) checkFlaky();
  process.umask(0o022);
  // An hour of work is not lost because a registry did not answer for a minute.
  process.env.npm_config_fetch_retries = '4';
  process.env.SOURCE_DATE_EPOCH = output('git', ['log', '-1', '--format=%ct']).trim();
  warnOfAddress();
  for (const name of taken) STEPS[name](what);

  console.log(`\nMajordomo ${version}, in ${TARGET}. Nothing was published.\n`);
  console.log(text(`release/${SUMS}`));
  warnOfAddress();
}

try {
  release(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`\nNo release. ${error.message}`);
  process.exitCode = 1;
}
