/**
 * Tools that a bare machine may lack. A case that needs one is skipped by name where it is absent
 * (scripts/test.mjs lists it); with CI=true it fails there instead.
 */
import { spawnSync } from 'node:child_process';

/** Debian's own Python, for which the package python3-zmq is installed. */
export const PYTHON = '/usr/bin/python3';

/** Succeeds, quickly, if and only if the tool works. */
interface Probe {
  readonly command: string;
  readonly args: readonly string[];
  readonly input?: string;
}

const PROBES = {
  'python3-zmq': { command: PYTHON, args: ['-c', 'import zmq'] },
  'python3-venv, python3-setuptools, python3-wheel and python3-zmq': {
    command: PYTHON,
    args: ['-c', 'import ensurepip, setuptools, wheel, zmq'],
  },
  'gcc and libzmq3-dev': {
    command: 'gcc',
    args: ['-x', 'c', '-o', '/dev/null', '-', '-lzmq'],
    input: '#include <zmq.h>\nint main(void) { return zmq_errno(); }\n',
  },
  'g++ and cppzmq-dev': {
    command: 'g++',
    args: ['-x', 'c++', '-fsyntax-only', '-'],
    input: '#include <zmq_addon.hpp>\n',
  },
  'php-cli and php-zmq': {
    command: 'php',
    args: ['-r', "exit(class_exists('ZMQSocket') ? 0 : 1);"],
  },
  'libzmq-ffi-perl': { command: 'perl', args: ['-MZMQ::FFI', '-e', '0'] },
  'python3-aiozmq': { command: PYTHON, args: ['-c', 'import aiozmq'] },
  'python3-txzmq': { command: PYTHON, args: ['-c', 'import txzmq'] },
  'gcc and libczmq-dev': {
    command: 'gcc',
    args: ['-x', 'c', '-o', '/dev/null', '-', '-lczmq', '-lzmq'],
    input: '#include <czmq.h>\nint main(void) { return zclock_mono() < 0; }\n',
  },
  'r-cran-pbdzmq': { command: 'Rscript', args: ['--vanilla', '-e', 'library(pbdZMQ)'] },
  'ruby-ffi-rzmq': { command: 'ruby', args: ['-e', "require 'ffi-rzmq'"] },
  'default-jdk-headless and libjeromq-java': {
    command: '/bin/sh',
    args: ['-c', 'javac -version && java -version && test -r /usr/share/java/jeromq.jar'],
  },
  'default-jdk-headless and libzmq-java': {
    command: '/bin/sh',
    args: ['-c', 'java -version && test -r /usr/share/java/zmq.jar && dpkg -s libzmq-jni'],
  },
  'systemd-notify and python3': {
    command: '/bin/sh',
    args: ['-c', `systemd-notify --version && ${PYTHON} -c ''`],
  },
  'script and stty': {
    command: '/bin/sh',
    args: ['-c', 'command -v script && command -v stty'],
  },
  pgbouncer: { command: '/usr/sbin/pgbouncer', args: ['--version'] },
  nginx: { command: '/usr/sbin/nginx', args: ['-v'] },
  haproxy: { command: 'haproxy', args: ['-v'] },
  git: { command: 'git', args: ['--version'] },
  'nats-server and openssl': {
    command: '/bin/sh',
    args: ['-c', 'nats-server --version && openssl version'],
  },
  openssl: { command: 'openssl', args: ['version'] },
  'curl and openssl': { command: '/bin/sh', args: ['-c', 'curl --version && openssl version'] },
  'systemd-analyze': { command: 'systemd-analyze', args: ['--version'] },
  'nats-server': { command: 'nats-server', args: ['--version'] },
  'postgresql, 15 or newer': {
    command: '/bin/sh',
    args: [
      '-c',
      'ls /usr/lib/postgresql/1[5-9]/bin/initdb || ls /usr/lib/postgresql/[2-9][0-9]/bin/initdb',
    ],
  },
  promtool: { command: 'promtool', args: ['--version'] },
  prometheus: { command: 'prometheus', args: ['--version'] },
  'chromium and nginx': {
    command: '/bin/sh',
    args: ['-c', 'chromium --version && /usr/sbin/nginx -v'],
  },
  chromium: { command: 'chromium', args: ['--version'] },
  'network namespaces': {
    command: '/bin/sh',
    args: [
      '-c',
      'n=mdp-probe-$$ && ip netns add $n && ip -n $n link add name b type bridge; s=$?; ' +
        'ip netns delete $n; exit $s',
    ],
  },
  'root, podman and mmdebstrap': {
    command: '/bin/sh',
    args: ['-c', 'test "$(id -u)" = 0 && podman --version && mmdebstrap --version'],
  },
  'root, systemd-nspawn, dpkg-deb and mmdebstrap': {
    command: '/bin/sh',
    args: [
      '-c',
      'test "$(id -u)" = 0 && systemd-nspawn --version && dpkg-deb --version && mmdebstrap --version',
    ],
  },
  root: { command: '/bin/sh', args: ['-c', 'test "$(id -u)" = 0'] },
  // They are in no package: github.com/booksbyus/zguide, examples/C.
  "GUIDE_C, the folder of the Guide's C programs": {
    command: '/bin/sh',
    args: ['-c', 'test -n "$GUIDE_C"'],
  },
} as const satisfies Record<string, Probe>;

export type Tool = keyof typeof PROBES;

/** A property of the machine that cannot be installed: its absence is never a failure. */
const RIGHTS: ReadonlySet<Tool> = new Set([
  'network namespaces',
  "GUIDE_C, the folder of the Guide's C programs",
]);

const known = new Map<Tool, boolean>();

export function toolAvailable(tool: Tool): boolean {
  const before = known.get(tool);
  if (before !== undefined) return before;
  const probe: Probe = PROBES[tool];
  const run = spawnSync(probe.command, probe.args, { input: probe.input ?? '', timeout: 20_000 });
  const available = run.status === 0;
  known.set(tool, available);
  return available;
}

export type HowToRun = 'run' | 'skip' | 'fail';

/**
 * Whether a case runs, is skipped or fails, by whether its tool is there and whether this is CI.
 */
export function howToRun(available: boolean, ci: string | undefined): HowToRun {
  if (available) return 'run';
  return ci === 'true' ? 'fail' : 'skip';
}

/**
 * As Jest's `it`, for a case that needs `tool`. What the case prepares in `beforeAll` must ask
 * `toolAvailable` itself.
 * @param timeoutMs as Jest's third argument
 */
export function itWithTool(
  tool: Tool,
  title: string,
  run: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  const ci = RIGHTS.has(tool) ? undefined : process.env['CI'];
  const how = howToRun(toolAvailable(tool), ci);
  if (how === 'run') {
    it(title, run, timeoutMs);
  } else if (how === 'skip') {
    it.skip(`${title} [needs ${tool}]`, run, timeoutMs);
  } else {
    it(`${title} [needs ${tool}]`, () => {
      throw new Error(`${tool} is absent on this machine, and CI=true allows no skipping`);
    });
  }
}
