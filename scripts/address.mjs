/**
 * Puts the address of the repository, `repository.url` of package.json, into every other file that has it: `npm run address`.
 * The address that these files have is that of packages/sdk/package.json.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** What is written from package.json, for all who read or install these files elsewhere. */
const COPIES = [
  ...['packages/sdk/package.json', 'packages/python/README.md', 'SECURITY.md'],
  'deploy/prometheus/*.rules*.yml',
];

/** `https://HOST/PATH`, of the manifest in a folder. */
export function addressIn(folder) {
  const { repository } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
  return repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
}

/** The files that have the address of package.json, beside package.json itself. */
export function copies() {
  const list = execFileSync('git', ['ls-files', '--', ...COPIES], { cwd: ROOT, encoding: 'utf8' });
  return list.trim().split('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [address, former] = [addressIn('.'), addressIn('packages/sdk')];
  for (const path of copies()) {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const count = text.split(former).length - 1;
    writeFileSync(join(ROOT, path), text.replaceAll(former, address));
    console.log(`${path}: ${count} times`);
  }
}
