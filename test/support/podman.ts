/** Podman with a store of its own, in mounts that only it sees: with its folder, all it made is gone. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** crun refuses a machine that has both versions of cgroups, so the second one is hidden from it. */
const HOLD = 'umount /sys/fs/cgroup/unified 2>/dev/null; echo; exec cat';

/** Limits that even a process without the right to raise its own can give to a container. */
const CONF = `
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=NOFILE:NOFILE", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

function openFilesLimit(): string {
  const { stdout } = spawnSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  const limit = stdout.trim();
  return limit === 'unlimited' ? '65536' : limit;
}

export class Podman {
  readonly #folder: string;
  readonly #holder: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(this.#path('tmp'));
    const conf = CONF.replaceAll('NOFILE', openFilesLimit());
    writeFileSync(this.#path('containers.conf'), conf);
    this.#holder = spawn('unshare', ['--mount', '/bin/sh', '-c', HOLD], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  }

  /** @param folder empty, and the caller's to remove after `end` */
  static async start(folder: string): Promise<Podman> {
    const podman = new Podman(folder);
    await once(podman.#holder.stdout, 'data');
    return podman;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** Runs a command of Podman to its end, in `/`. */
  ran(...args: readonly string[]): Ran {
    const own = ['--root', this.#path('root'), '--runroot', this.#path('run')];
    const inside = ['--mount', '--target', String(this.#holder.pid), '--', 'podman', ...own];
    const environment = {
      CONTAINERS_CONF: this.#path('containers.conf'),
      TMPDIR: this.#path('tmp'),
    };
    return spawnSync('nsenter', [...inside, ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
      maxBuffer: 64 * 1_048_576,
    });
  }

  /** @returns what it printed; @throws if it fails */
  run(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.ran(...args);
    if (status === 0) return stdout;
    throw new Error(`podman ${args.join(' ')} failed (${String(status)}):\n${stdout}${stderr}`);
  }

  /** Ends all containers, and its mounts. */
  async end(): Promise<void> {
    this.ran('rm', '--all', '--force', '--time', '0', '--volumes');
    this.#holder.stdin.end();
    await once(this.#holder, 'close');
  }
}
