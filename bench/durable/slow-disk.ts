/** Plain MDP while every sync takes 200 ms: a library before libc's bends them from a moment on. */
import { rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { Client } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { type Contender, startContender } from './contenders.js';
import { closedLoop, type Latencies, openLoop } from './loops.js';

export interface SlowDisk {
  readonly quiet: Latencies;
  readonly slow: Latencies;
  /** Receipts a second meanwhile. */
  readonly receipts: number;
}

const LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int bent(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (access(getenv("TROUBLE"), F_OK) == 0) usleep(200000);
  return real(file);
}
int fdatasync(int file) { return bent("fdatasync", file); }
int fsync(int file) { return bent("fsync", file); }
`;
const RATE = 1000;
const OUTSTANDING = 64;

/** @returns `null` where gcc is absent */
export async function slowDisk(
  contender: Contender,
  directory: string,
  seconds: number,
): Promise<SlowDisk | null> {
  const library = join(directory, 'slow.so');
  const options = ['-shared', '-fPIC', '-x', 'c', '-o', library, '-', '-ldl'];
  if (spawnSync('gcc', options, { input: LIBRARY }).status !== 0) return null;
  const trouble = join(directory, 'trouble');
  const environment = { LD_PRELOAD: library, TROUBLE: trouble };
  const running = await startContender(contender, directory, environment);
  const endpoints = [`tcp://127.0.0.1:${running.port}`];
  const echo = { endpoints, service: 'echo', concurrency: 100 };
  const worker = new Worker(echo, (request) => request.frames);
  const client = new Client({ endpoints });
  const runs = worker.run();
  try {
    const ask = (): Promise<unknown> => client.request('echo', 'x');
    await openLoop(ask, RATE, 1);
    const quiet = await openLoop(ask, RATE, seconds);
    writeFileSync(trouble, '');
    const receipts = closedLoop(running.desk, OUTSTANDING, seconds);
    const slow = await openLoop(ask, RATE, seconds);
    return { quiet, slow, receipts: await receipts };
  } finally {
    rmSync(trouble, { force: true });
    await client.close();
    await worker.close({ graceMs: 0 });
    await runs;
    await running.stop();
  }
}
