import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StoreDirectory } from '../support/store-directory.js';
import { itWithTool } from '../support/tools.js';

/** Instead of the C library's: while the file named by TROUBLE is there it fails, or does not return. */
const LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int bent(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (access(getenv("TROUBLE"), F_OK) != 0) return real(file);
  if (getenv("FAILS") != NULL) { errno = EIO; return -1; }
  while (access(getenv("TROUBLE"), F_OK) == 0) usleep(1000);
  return real(file);
}

int fdatasync(int file) { return bent("fdatasync", file); }
int fsync(int file) { return bent("fsync", file); }
`;

const PROGRAM = fileURLToPath(new URL('../support/store-on-bad-disk.js', import.meta.url));

describe('a disk that misbehaves', () => {
  let directory: StoreDirectory;

  beforeEach(() => {
    directory = new StoreDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  const run = (environment: NodeJS.ProcessEnv): unknown => {
    const library = join(directory.path, 'bent.so');
    const compiled = spawnSync('gcc', ['-shared', '-fPIC', '-x', 'c', '-o', library, '-', '-ldl'], {
      input: LIBRARY,
      encoding: 'utf8',
    });
    expect(compiled.stderr).toBe('');
    const trouble = join(directory.path, 'trouble');
    const { stdout, stderr } = spawnSync(process.execPath, [PROGRAM, directory.file, trouble], {
      encoding: 'utf8',
      env: { ...process.env, ...environment, LD_PRELOAD: library, TROUBLE: trouble },
    });
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  };

  itWithTool(
    'gcc and libzmq3-dev',
    'a sync that fails is the end of trust: nothing is acknowledged any more, a restart recovers',
    async () => {
      const fatal = {
        kind: 'fatal',
        message: expect.stringMatching(/titanic\.db: .*SQLITE_IOERR_FSYNC.*; restart/),
      };
      expect(run({ FAILS: 'yes' })).toMatchObject({
        during: { failure: fatal },
        after: { failure: fatal },
        found: fatal,
      });
      const { pending } = await directory.open();
      expect(pending[0]?.number).toBe(1);
      expect(pending.map(({ number }) => number)).not.toContain(3);
    },
  );

  itWithTool('gcc and libzmq3-dev', 'a sync that is slow holds up nobody but the store', () => {
    // The disk goes on after many turns of the main thread.
    expect(run({})).toMatchObject({
      during: { results: [{ kind: 'done' }] },
      found: { state: 'pending' },
    });
  });
});
