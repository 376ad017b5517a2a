/** Small programs of a user's, each in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PATIENCE_MS } from '../../support/patience.js';

const SDK = new URL('../../../src/sdk/', import.meta.url);

/** What a program prints, and how it ends: its exit status, or `alive` if it has to be killed. */
export async function outcome(
  program: string,
  environment: Record<string, string> = {},
  patienceMs = PATIENCE_MS,
): Promise<{ readonly end: number | 'alive'; readonly output: string }> {
  const imports = `
    import { connect, Client } from '${fileURLToPath(new URL('client.js', SDK))}';
    import { Worker } from '${fileURLToPath(new URL('worker.js', SDK))}';
    import { setTimeout as sleep } from 'node:timers/promises';
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', imports + program], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await once(child, 'close');
  clearTimeout(timer);
  return { end: child.exitCode ?? 'alive', output };
}
