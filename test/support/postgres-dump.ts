/** A database as the text that `pg_dump` writes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { assert } from '../../src/core/assert.js';
import { type Cluster, postgresBin } from './postgres-cluster.js';

function tool(name: string, args: readonly string[], input = ''): string {
  const options = { input, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  const { status, stdout, stderr } = spawnSync(join(postgresBin() ?? '', name), args, options);
  assert(status === 0, `${name}: ${stderr}`);
  return stdout;
}

export function dumpOf(server: Cluster, database: string): string {
  const text = tool('pg_dump', ['--no-owner', '--no-privileges', server.url(database)]);
  // Older servers and tools do not know these.
  return text.replaceAll(/^(\\(un)?restrict |SET transaction_timeout).*\n/gm, '');
}

/** @returns the URL of a new database */
export async function restored(server: Cluster, dump: string): Promise<string> {
  const url = server.url(await server.database());
  tool('psql', ['--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', url], dump);
  return url;
}
