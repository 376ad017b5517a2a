/**
 * Does what docs/tutorial.md says, in a copy of the clone, and compares what it shows.
 *
 * - A `sh` block is typed into the terminal that the line above it names, a shell of its own: the lines of
 *   one terminal share variables and background jobs. `after Ctrl-C` interrupts terminal 1 first.
 * - A `js` block is saved in the file that its first line names.
 * - A block without a language is what the commands before it print: these lines, in this order, next to each
 *   other except where a line is `…`. Uuids, times, durations, rates, and names of workers may differ.
 *
 * What is not done as the page says: instead of `npm ci`, the copy links to the packages that are installed here, and
 * is built. Instead of the five seconds that a pair needs to come in sync, the test looks until it is. The ports are free
 * ones: the page's are replaced in the page and in the configurations of the clone, and the broker and the commands that
 * use the defaults get theirs from the environment.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePorts } from '../../support/free-ports.js';
import { clone, run } from '../../support/tarballs.js';
import { until } from '../../support/until.js';
import { LONG_TEST_MS } from '../../support/patience.js';

const PAGE = 'docs/tutorial.md';
/** As a list, in the order of the free ports that replace them. */
const PORTS = [5555, 5556, 5580, 5581, 5590, 5591];
const BLOCK =
  /(?:^_Terminal (?<terminal>[12])(?<how>.*):_\n\n)?^```(?<language>\w*)\n(?<text>[\s\S]*?)^```$/gm;

interface Block {
  readonly language: string;
  readonly text: string;
  readonly terminal: number;
  /** `, after Ctrl-C …`. */
  readonly how: string;
}

/** A shell into which lines are typed. */
class Terminal {
  readonly #shell: ChildProcess;
  #output = '';
  #typed = 0;

  constructor(cwd: string, environment: Readonly<Record<string, string>>) {
    // A process group of its own, as a terminal has: it is interrupted, and ended, as one.
    this.#shell = spawn('bash', ['-c', 'exec 2>&1; exec bash --norc'], {
      cwd,
      // npm warns about settings of this machine.
      env: { ...process.env, NO_COLOR: '1', npm_config_loglevel: 'error', ...environment },
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#shell.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  get length(): number {
    return this.#output.length;
  }

  /** The same condition, which is looked at only when there is more to see. */
  whenever(isSo: () => boolean): () => boolean {
    let looked = -1;
    return () => {
      if (looked === this.#output.length) return false;
      looked = this.#output.length;
      return isSo();
    };
  }

  /** What it has shown since it had shown `from` characters, without the marks of finished blocks. */
  shown(from: number): string {
    return this.#output.slice(from).replace(/^<done \d+>\n/gm, '');
  }

  /** @returns whether the shell has run all of it */
  type(text: string): () => boolean {
    const mark = `<done ${++this.#typed}>`;
    this.#shell.stdin?.write(`{ ${text}\n} < /dev/null\necho '${mark}'\n`);
    return this.whenever(() => this.#output.includes(mark));
  }

  /** Ctrl-C: every process of the terminal gets the signal, and the shell ends with them or stays. */
  async interrupt(): Promise<void> {
    const mark = `<done ${this.#typed}>`;
    this.signal('SIGINT');
    const isOver = (): boolean =>
      this.#output.includes(mark) ||
      this.#shell.exitCode !== null ||
      this.#shell.signalCode !== null;
    await until(isOver, `Ctrl-C: ${this.#output.slice(-2000)}`);
    this.signal('SIGKILL');
  }

  signal(signal: NodeJS.Signals): void {
    try {
      if (this.#shell.pid !== undefined) process.kill(-this.#shell.pid, signal);
    } catch {
      // It has ended.
    }
  }
}

/** By number. */
const terminals = new Map<number, Terminal>();
let folder = '';
let ports: readonly number[] = [];

function withFreePorts(text: string): string {
  return text.replace(/\b55[589]\d\b/g, (port) => String(ports[PORTS.indexOf(Number(port))]));
}

function blocks(): Block[] {
  return Array.from(readFileSync(PAGE, 'utf8').matchAll(BLOCK), ({ groups = {} }) => ({
    language: groups['language'] ?? '',
    text: withFreePorts(groups['text'] ?? ''),
    terminal: Number(groups['terminal'] ?? 0),
    how: groups['how'] ?? '',
  }));
}

/** What differs from run to run, in the text of the page. */
const VARIES: readonly (readonly [RegExp, string])[] = [
  [/[0-9A-F]{32}/g, '[0-9A-F]{32}'],
  // A percentile is `-` until the next second has been counted.
  [/\b\d+ ms\b/g, '(?:\\d+ ms|-)'],
  [/\b\d+s\b/g, '\\d+s'],
  [/\b\d\\\.\d(?= )/g, '\\d+\\.\\d'],
  [/…/g, '.*'],
  [/ +/g, ' +'],
];

/** A pattern of the lines of a block: adjacent, but for a line `…`. */
function pattern(text: string): RegExp {
  const lines = text.trimEnd().split('\n');
  const parts = lines.map((line) => {
    if (line === '…') return '(?:.*\\n)*?';
    const escaped = line.trim().replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const varied = VARIES.reduce((made, [what, by]) => made.replace(what, () => by), escaped);
    return varied === '' ? '\\s*' : ` *${varied} *\\n`;
  });
  return new RegExp(`^${parts.join('')}`, 'm');
}

/** A busy machine gets the time that it needs. */
function typed(text: string): string {
  return text.replace('npm ci', ':').replace(/^sleep 5\n(.+)$/m, (_, look: string) => {
    const isInSync = `${look} | grep -qE 'sync: in sync|"degraded":\\[\\]'`;
    return `for _ in $(seq 300); do ${isInSync} && break; sleep 0.2; done\n${look}`;
  });
}

function build(copy: string): void {
  run(process.execPath, ['scripts/prepare.mjs'], copy);
  const configurations = join(copy, 'config');
  for (const name of readdirSync(configurations).filter((each) => each.startsWith('pair-'))) {
    const path = join(configurations, name);
    writeFileSync(path, withFreePorts(readFileSync(path, 'utf8')));
  }
}

function open(number: number): Terminal {
  const [first = 0, , http = 0] = ports;
  const url = `tcp://127.0.0.1:${first}`;
  const serve = {
    MAJORDOMO_BROKER__LISTEN: url,
    MAJORDOMO_HTTP__LISTEN: `127.0.0.1:${http}`,
    MAJORDOMO_LOG__FORMAT: 'pretty',
  };
  const terminal = new Terminal(join(folder, 'clone'), {
    MAJORDOMO_URL: url,
    ...(number === 1 ? serve : {}),
  });
  terminals.set(number, terminal);
  return terminal;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-tutorial-'));
  ports = await freePorts(PORTS.length);
});

afterAll(() => {
  for (const terminal of terminals.values()) terminal.signal('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

it(
  'docs/tutorial.md: every command works and prints what the page shows',
  async () => {
    const copy = clone(folder);
    build(copy);
    const project = join(copy, 'majordomo-tutorial');
    const page = blocks();
    let before: { readonly terminal: Terminal; readonly from: number } | null = null;
    let compared = 0;
    for (const [index, { language, text, terminal: number, how }] of page.entries()) {
      if (language === 'js') {
        writeFileSync(join(project, /^\/\/ (\S+)/.exec(text)?.[1] ?? ''), text);
      } else if (language === 'sh') {
        if (how.includes('Ctrl-C')) {
          await terminals.get(1)?.interrupt();
          open(1).type(`cd ${project}`);
        }
        const isNew = !terminals.has(number);
        const terminal = terminals.get(number) ?? open(number);
        if (isNew && index > 0) terminal.type(`cd ${project}`);
        const from = terminal.length;
        const isDone = terminal.type(typed(text));
        before = { terminal, from };
        // It stays in the foreground.
        if (/^npx majordomo-broker serve$/m.test(text)) continue;
        await until(isDone, `the end of:\n${text}\n${terminal.shown(from)}`);
      } else if (before !== null) {
        const { terminal, from } = before;
        const wanted = pattern(text);
        const isShown = (): boolean => wanted.test(terminal.shown(from));
        await until(terminal.whenever(isShown), 'what the page shows').catch(() => undefined);
        compared++;
        if (!isShown()) expect(terminal.shown(from)).toBe(text);
      }
    }
    expect(compared).toBeGreaterThan(10);
  },
  LONG_TEST_MS,
);
