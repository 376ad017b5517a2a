/**
 * The root file system of a small Debian 12 with systemd, in an archive. It takes most of a minute to make,
 * so it is kept until the next `npm ci`.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { run } from './tarballs.js';

const KEPT = resolve('node_modules/.cache/majordomo/debian-12.tar');
const MIRROR = 'http://deb.debian.org/debian';

/** @returns the path of the archive */
export function debianRoot(): string {
  if (existsSync(KEPT)) return KEPT;
  mkdirSync(dirname(KEPT), { recursive: true });
  const folder = mkdtempSync(join(dirname(KEPT), 'making-'));
  try {
    const archive = join(folder, 'root.tar');
    const options = ['--quiet', '--variant=apt', '--include=systemd-sysv'];
    const unsafe = '--dpkgopt=force-unsafe-io';
    run('mmdebstrap', [...options, unsafe, 'bookworm', archive, MIRROR], '/');
    renameSync(archive, KEPT);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return KEPT;
}
