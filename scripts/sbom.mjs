/**
 * Prints the bill of materials (CycloneDX) of a package: `node scripts/sbom.mjs [packages/sdk]`. It lists what
 * package-lock.json names. The time in it is SOURCE_DATE_EPOCH, and its number is a digest of the rest, so that the same
 * package has the same bill.
 *
 * `npm sbom --omit dev` leaves out what is both a dependency and a tool's dependency. So npm gets a
 * copy of the package without its tools.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = process.argv[2] ?? '';
const source = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const read = (name) => JSON.parse(readFileSync(source(name), 'utf8'));

const manifest = read(join(path, 'package.json'));
for (const each of ['devDependencies', 'workspaces']) delete manifest[each];

/** A UUID of version 8: of a digest. */
function uuidOf(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
  ];
  return [...parts, hex.slice(20, 32)].join('-');
}

function even(bill) {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  const time = epoch === undefined ? Date.now() : Number(epoch) * 1000;
  bill.metadata.timestamp = new Date(time).toISOString();
  bill.serialNumber = '';
  bill.serialNumber = `urn:uuid:${uuidOf(JSON.stringify(bill))}`;
  return bill;
}

const folder = mkdtempSync(join(tmpdir(), 'majordomo-sbom-'));
try {
  // npm takes the package's name from its folder.
  const cwd = join(folder, manifest.name);
  mkdirSync(cwd);
  const lock = read('package-lock.json');
  lock.packages[''] = manifest;
  const put = (name, content) => writeFileSync(join(cwd, name), JSON.stringify(content));
  put('package.json', manifest);
  put('package-lock.json', lock);
  const npm = (...args) => execFileSync('npm', args, { cwd, maxBuffer: 256 * 1_048_576 });
  npm('install', '--package-lock-only', '--ignore-scripts', '--prefer-offline');
  const bill = JSON.parse(npm('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'));
  process.stdout.write(`${JSON.stringify(even(bill), null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
