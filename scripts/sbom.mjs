/**
 * Prints the bill of materials (CycloneDX) of a package: `node scripts/sbom.mjs [packages/sdk]`. It
 * lists what its lock file names, or, without one, what npm installs for it now.
 *
 * `npm sbom --omit dev` leaves out what is both a dependency and a tool's dependency. So npm gets a
 * copy of the package without its tools.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LOCK = 'package-lock.json';

const source = fileURLToPath(new URL(`../${process.argv[2] ?? ''}`, import.meta.url));
const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
delete manifest.devDependencies;

const folder = mkdtempSync(join(tmpdir(), 'majordomo-sbom-'));
try {
  // npm takes the package's name from its folder.
  const cwd = join(folder, manifest.name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'package.json'), JSON.stringify(manifest));
  if (existsSync(join(source, LOCK))) copyFileSync(join(source, LOCK), join(cwd, LOCK));
  const npm = (...args) => execFileSync('npm', args, { cwd, maxBuffer: 256 * 1_048_576 });
  npm('install', '--package-lock-only', '--ignore-scripts');
  process.stdout.write(npm('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
