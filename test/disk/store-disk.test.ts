import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { removeSmallDisks, SmallDisk } from '../support/small-disk.js';
import { accept } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import { itWithTool } from '../support/tools.js';

/**
 * Instead of the C library's: while the file named by TROUBLE is there it fails, or does not return; or, with QUOTA, writes
 * fail with that error.
 */
const LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int bent(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (access(getenv("TROUBLE"), F_OK) != 0 || getenv("QUOTA") != NULL) return real(file);
  if (getenv("FAILS") != NULL) { errno = EIO; return -1; }
  while (access(getenv("TROUBLE"), F_OK) == 0) usleep(1000);
  return real(file);
}

static int is_over(int file) {
  struct stat what;
  if (getenv("QUOTA") == NULL || access(getenv("TROUBLE"), F_OK) != 0) return 0;
  if (fstat(file, &what) != 0 || !S_ISREG(what.st_mode)) return 0;
  errno = atoi(getenv("QUOTA"));
  return 1;
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
  typedef ssize_t (*Write)(int, const void *, size_t, off64_t);
  return is_over(file) ? -1 : ((Write)dlsym(RTLD_NEXT, "pwrite64"))(file, bytes, size, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  return pwrite64(file, bytes, size, at);
}

ssize_t write(int file, const void *bytes, size_t size) {
  typedef ssize_t (*Write)(int, const void *, size_t);
  return is_over(file) ? -1 : ((Write)dlsym(RTLD_NEXT, "write"))(file, bytes, size);
}

int fdatasync(int file) { return bent("fdatasync", file); }
int fsync(int file) { return bent("fsync", file); }
`;

const PROGRAM = fileURLToPath(new URL('../support/store-on-bad-disk.js', import.meta.url));

describe('a disk that misbehaves', () => {
  // They are in the directory.
  afterEach(removeSmallDisks);
  const directory = storeDirectory();

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

  itWithTool(
    'gcc and libzmq3-dev',
    'a used-up quota is a full disk: what is refused can be sent again',
    () => {
      expect(run({ QUOTA: String(constants.errno.EDQUOT) })).toMatchObject({
        during: { failure: { kind: 'full', message: expect.stringMatching(/raise its quota/) } },
        after: { results: [{ kind: 'done' }] },
        found: { state: 'pending' },
      });
    },
  );

  itWithTool('gcc and libzmq3-dev', 'a write that fails otherwise is the end of trust', () => {
    const fatal = { kind: 'fatal', message: expect.stringMatching(/SQLITE_IOERR_WRITE/) };
    expect(run({ QUOTA: String(constants.errno.EIO) })).toMatchObject({
      during: { failure: fatal },
      after: { failure: fatal },
    });
  });

  itWithTool('root', 'a disk that takes no more files is full, too', async () => {
    const disk = new SmallDisk(directory.path, '8m,nr_inodes=20');
    disk.fill();
    const store = await directory.open();
    disk.free();
    const files: string[] = [];
    const make = (): void => {
      const file = join(directory.path, `file-${files.length}`);
      writeFileSync(file, '');
      files.push(file);
    };
    expect(() => {
      for (;;) make();
    }).toThrow(/ENOSPC/);
    rmSync(files.pop() ?? '');
    // The store could be made, and not its journal.
    expect(await store.tryCommit([accept(1)])).toMatchObject({ failure: { kind: 'full' } });
    for (const file of files) rmSync(file);
    expect(await store.tryCommit([accept(1)])).toMatchObject({ results: [{ kind: 'done' }] });
  });

  itWithTool('gcc and libzmq3-dev', 'a sync that is slow holds up nobody but the store', () => {
    // The disk goes on after many turns of the main thread.
    expect(run({})).toMatchObject({
      during: { results: [{ kind: 'done' }] },
      found: { state: 'pending' },
    });
  });
});
