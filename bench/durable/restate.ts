/** Restate's server, found in PATH with its SDK beside it: it is too large for a development dependency. */
import { spawnSync } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

import { freePort, HOST } from '../ports.js';
import type { Contender } from './contenders.js';

export interface RestateServer {
  readonly file: string;
  readonly version: string;
}

/** The shell command that installs both, into a directory that the user chooses. */
export const RESTATE_INSTALL =
  'npm install --prefix DIR @restatedev/restate-server@1.7.12 @restatedev/restate-sdk@1.17.2, with DIR/node_modules/.bin in PATH';
const SDK = '@restatedev/restate-sdk';
const WORKER = join(process.cwd(), 'bench', 'peers', 'restate.mjs');

/** @returns null if the server's package is not in PATH, or the SDK's not beside it */
export function findRestate(): RestateServer | null {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = programIn(directory);
    if (file === null) continue;
    const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' });
    return { file, version: /\d+(\.\d+)+/.exec(stdout)?.[0] ?? 'unknown' };
  }
  return null;
}

/** The program itself: what is in PATH is a script that starts it, and would leave it behind. */
function programIn(directory: string): string | null {
  try {
    const { resolve } = createRequire(realpathSync(join(directory, 'restate-server')));
    resolve(SDK);
    return resolve(`@restatedev/restate-server-linux-${process.arch}/bin/restate-server`);
  } catch {
    return null;
  }
}

/** The server with its defaults: a call is answered when its result is in a log that was synced. */
export function restate({ file, version }: RestateServer): Contender {
  let adminPort = 0;
  return {
    name: 'restate',
    title: 'Restate',
    lifeTitle: 'Restate: a call of a handler',
    version,
    command: async (port, directory) => {
      adminPort = await freePort();
      const config = join(directory, 'restate.toml');
      writeFileSync(
        config,
        `bind-ip = "${HOST}"
bind-port = ${await freePort()}
listen-mode = "tcp"
base-dir = "${directory}"
disable-telemetry = true
[admin]
bind-port = ${adminPort}
[ingress]
bind-port = ${port}
`,
      );
      return [file, '--no-logo', '--config-file', config];
    },
    worker: () => [process.execPath, WORKER, file, String(adminPort)],
  };
}
