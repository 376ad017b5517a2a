/**
 * Plain MDP while every sync takes 200 ms: a preloaded library delays the calls from a given moment
 * on.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { compile, type Generator, type Load, runLoad } from '../generator.js';
import { type Contender, startContender } from './contenders.js';
import { closedLoop, type Latencies, latencies } from './load.js';

export interface SlowDisk {
  readonly quiet: Latencies;
  readonly slow: Latencies;
  /** Receipts per second during that time. */
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
const ECHO: Load = { clients: 1, workers: 1, credit: 100, outstanding: 1, rate: 1000 };
const OUTSTANDING = 64;
const WARM_UP_SECONDS = 1;

/** @throws gcc's output */
export async function slowDisk(
  generator: Generator,
  contender: Contender,
  directory: string,
  seconds: number,
): Promise<SlowDisk> {
  const source = join(directory, 'slow.c');
  const library = join(directory, 'slow.so');
  writeFileSync(source, LIBRARY);
  const failure = compile(library, [source], ['-shared', '-fPIC', '-ldl']);
  if (failure !== null) throw new Error(`the slow disk: ${failure}`);
  const trouble = join(directory, 'trouble');
  const environment = { LD_PRELOAD: library, TROUBLE: trouble };
  const running = await startContender(contender, directory, environment);
  const target = { protocol: 'mdp', port: running.port, pid: running.pid } as const;
  const window = { seconds, warmupSeconds: WARM_UP_SECONDS };
  try {
    const quiet = await runLoad(generator, ECHO, target, window, null);
    writeFileSync(trouble, '');
    const [receipts, slow] = await Promise.all([
      closedLoop(generator, running, OUTSTANDING, window),
      runLoad(generator, ECHO, target, window, null),
    ]);
    return { quiet: latencies(quiet), slow: latencies(slow), receipts };
  } finally {
    rmSync(trouble, { force: true });
    await running.stop();
  }
}
