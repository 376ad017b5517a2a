/** Proxies and load balancers before a broker. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryDirectory } from './daemon.js';

const proxies = new Set<ChildProcess>();

/** Call this in `afterEach`. */
export function killProxies(): void {
  // nginx has processes of its own, which end with it only so.
  for (const proxy of proxies) proxy.kill(proxy.spawnfile === 'haproxy' ? 'SIGKILL' : 'SIGQUIT');
  proxies.clear();
}

/** @returns what docs/http.md has for this proxy */
export function documented(proxy: 'nginx' | 'haproxy'): string {
  const text = readFileSync('docs/http.md', 'utf8');
  const block = { nginx: /```nginx\n([^]*?)```/, haproxy: /```\n(defaults\n[^]*?)```/ };
  return block[proxy].exec(text)?.[1] ?? '';
}

export async function startHaproxy(configuration: string): Promise<void> {
  const file = join(temporaryDirectory(), 'haproxy.cfg');
  writeFileSync(file, configuration);
  await start('haproxy', '-f', file);
}

/** Starts nginx. @param lines of its block `http` */
export async function startNginx(lines: string): Promise<void> {
  const directory = temporaryDirectory();
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const all = [
    // Its workers write bodies into the directory, which is this process's.
    process.getuid?.() === 0 ? 'user root;' : '',
    ...['daemon off;', `pid ${directory}/pid;`, 'error_log stderr;', 'events {}', 'http {'],
    ...['access_log off;', ...folders.map((each) => `${each}_temp_path ${directory}/${each};`)],
    ...[lines, '}'],
  ];
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, all.join('\n'));
  await start('/usr/sbin/nginx', '-p', directory, '-e', 'stderr', '-c', file);
}

async function start(command: string, ...args: readonly string[]): Promise<void> {
  const proxy = spawn(command, args, { stdio: 'ignore' });
  proxies.add(proxy);
  await once(proxy, 'spawn');
}
