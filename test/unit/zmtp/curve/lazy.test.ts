import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../../../src', import.meta.url));

describe('libsodium', () => {
  it('is not needed, nor is any package, by a client and a worker without keys', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mdp-lazy-'));
    try {
      cpSync(SOURCES, join(folder, 'src'), { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{"type": "module", "version": "0.0.0"}');
      const program = `
        const { Client } = await import(${JSON.stringify(pathToFileURL(join(folder, 'src/sdk/client.js')))});
        const { Worker } = await import(${JSON.stringify(pathToFileURL(join(folder, 'src/sdk/worker.js')))});
        const endpoints = ['tcp://127.0.0.1:1'];
        const client = new Client({ endpoints, timeoutMs: 50, retries: 0 });
        console.log(await client.request('echo', 'x').catch((error) => error.code));
        await client.close();
        await new Worker({ endpoints, service: 'echo' }, () => []).close();
      `;
      const args = ['--input-type=module', '-e', program];
      const run = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
      expect(run.stderr).toBe('');
      expect(run.stdout).toBe('ERR_MDP_UNREACHABLE\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
