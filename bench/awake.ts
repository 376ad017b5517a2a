/**
 * Keeps all cores awake while a benchmark runs. A virtual machine gives an idle core back to its
 * host. Waking it again takes time, and its caches are cold: that would be counted as work of the
 * broker, and the less a row asks of the broker, the larger would be the share.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';

import type { Generator } from './generator.js';

/** @returns ends it, and waits for the end, so that its CPU time counts as this process's */
export function keepAwake({ file }: Generator): () => Promise<void> {
  const running = cpus().map((_, core) =>
    spawn(file, ['--keep-awake', String(core)], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  return async () => {
    await Promise.all(
      running.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  };
}

/** One sentence for the documents. */
export const AWAKE_TEXT =
  'A process of idle priority kept each core awake. Without it, an idle core of a virtual machine\n' +
  '  goes back to its host, and waking it again takes time, which counts as the broker’s.';
