import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { Child, type Finished, killAll, run, runEach } from '../../support/child.js';

const COMMANDS = [
  'serve',
  'check',
  'request',
  'worker',
  'status',
  'services',
  'workers',
  'doctor',
  'keygen',
  'durable',
  'backup',
  'verify',
  'version',
] as const;
const PLATFORM = `${process.platform}-${process.arch}`;

const WRONG = [
  { args: ['reqest', 'upper'], says: 'Did you mean request?' },
  { args: ['help', 'wrker'], says: "unknown command 'wrker'\n(Did you mean worker?)" },
  { args: ['help', 'durable', 'puge'], says: "unknown command 'puge'\n(Did you mean purge?)" },
  { args: ['durable', 'help', 'puge'], says: 'Did you mean purge?' },
  { args: ['help', 'services', 'nosuch'], says: '(majordomo help services shows examples)' },
  { args: ['help', 'durable', 'schedules', 'nosuch'], says: "unknown command 'nosuch'" },
  { args: ['services', 'puase', 'ok'], says: "unknown command 'puase'\n(Did you mean pause?)" },
  { args: ['services', '-o', 'json', 'puase'], says: 'Did you mean pause?' },
  { args: ['durable', 'schedules', 'evry'], says: "unknown command 'evry'" },
  { args: ['request', 'upper', '--endpont', 'x'], says: 'Did you mean --endpoint?' },
  { args: ['request'], says: "missing required argument 'service'" },
  { args: ['request', 'a', '--timeout-ms', '0'], says: 'a whole number from 1 to' },
  { args: ['request', 'a', '--timeout-ms', '86400001'], says: 'a whole number from 1 to 86400000' },
  { args: ['request', 'a', '--timeout-ms', '1s'], says: 'a whole number from 1 to 86400000' },
  { args: ['request', 'a', '--timeout', '5'], says: 'a whole number with a unit' },
  { args: ['request', 'a', '--timeout', '25h'], says: 'at most a day' },
  {
    args: ['request', 'a', '--timeout', '5s', '--timeout-ms', '3'],
    says: 'not go with --timeout.',
  },
  { args: ['request', 'a', '--deadline-ms', '500'], says: 'write --timeout-ms' },
  { args: ['request', 'a', '--retries', '3'], says: 'any more: --timeout-ms is the time' },
  { args: ['request', 'a', '--protocol', '0.3'], says: 'Allowed choices are 0.1, 0.2' },
  { args: ['request', 'a', '-o', 'xml'], says: 'Allowed choices are text, json, raw' },
  { args: ['request', 'a', '--no-wait'], says: '--no-wait needs --durable' },
  { args: ['request', 'a', '--key', 'k'], says: '--key needs --durable' },
  { args: ['request', 'a', '--max-attempts', '2'], says: '--max-attempts needs --durable' },
  { args: ['request', 'a', '--backoff-ms', '1..2'], says: '--backoff-ms needs --durable' },
  { args: ['request', 'a', '--shared'], says: '--shared needs --durable' },
  { args: ['request', 'a', '--durable', '--backoff-ms', '2..1'], says: 'the smaller first' },
  { args: ['request', 'a', '--durable', '--backoff-ms', '0..1'], says: 'the smaller first' },
  { args: ['request', 'a', '--durable', '--max-attempts', '0'], says: 'from 1 to 1000' },
  { args: ['request', '--durable'], says: "missing required argument 'service'" },
  { args: ['request', 'a', '--durable', '--stream'], says: 'cannot be used with' },
  { args: ['request', 'a', '--durable', '--priority', '101'], says: 'from -100 to 100' },
  { args: ['request', 'a', '--durable', '--key', ''], says: '1 to 255 bytes' },
  { args: ['request', 'a', '--result', '0'.repeat(32)], says: 'a uuid and no service' },
  { args: ['request', '--result', 'x'], says: 'a uuid has 32 hexadecimal characters' },
  { args: ['request', '--result', 'x', '--close', 'x'], says: 'cannot be used with' },
  { args: ['request', 'a', '-', '-'], says: 'standard input can be only one of the frames' },
  { args: ['request', ''], says: '1 to 255 bytes' },
  { args: ['request', 'ü'.repeat(128)], says: 'this one has 256' },
  { args: ['request', 'a', '--endpoint', '127.0.0.1:5555'], says: 'tcp://127.0.0.1:5555' },
  { args: ['request', 'a', '--endpoint', 'tcp://*:5555'], says: 'cannot connect to *' },
  { args: ['worker', 'a'], says: 'a command is missing (-- COMMAND), or a server (--to URL)' },
  { args: ['worker', 'a', '--', 'no-such-program'], says: 'no-such-program: no such command' },
  { args: ['worker', 'a', '--', '/etc/passwd'], says: '/etc/passwd: no such command' },
  { args: ['worker', 'mmi.service', '--', 'cat'], says: 'reserved for the broker' },
  { args: ['worker', 'a', '--concurrency', '0', '--', 'cat'], says: 'from 1 to 1000' },
  { args: ['worker', 'a', '--output-bytes', '5GB', '--', 'cat'], says: 'a size from 1 to 1GiB' },
  { args: ['workers', 'a', 'b'], says: 'too many arguments' },
  { args: ['backup'], says: "missing required argument 'file'" },
  {
    args: ['backup', 'a', '--store', 'b', '--set', 'x=y'],
    says: 'give either the path of a store',
  },
  { args: ['verify', 'a', '-c', 'b'], says: 'give either the path of a store' },
  { args: ['status', 'now'], says: 'too many arguments' },
  { args: ['durable', 'lst'], says: 'Did you mean ls?' },
  { args: ['durable', 'ls', '--state', 'gone'], says: 'Allowed choices are pending' },
  { args: ['durable', 'ls', '--older-than', '5'], says: 'a number and a unit' },
  { args: ['durable', 'ls', '--since', 'x'], says: 'or a time' },
  { args: ['durable', 'ls', '--service', 'a*b'], says: '%2A is the character *' },
  { args: ['durable', 'ls', '--service', '*b'], says: "Expected NAME, 'NAME*' or '*PART*'" },
  { args: ['durable', 'ls', '--group-by', 'age'], says: 'Allowed choices are reason, code' },
  { args: ['durable', 'ls', '--group-by', 'code', '--cursor', 'x'], says: 'cannot be used with' },
  { args: ['durable', 'cancel'], says: 'either a uuid' },
  { args: ['durable', 'cancel', '0'.repeat(32), '--dry-run'], says: '--dry-run needs a filter' },
  { args: ['durable', 'show', 'x'], says: 'a uuid has 32 hexadecimal characters' },
  { args: ['durable', 'retry'], says: 'either a uuid' },
  { args: ['durable', 'retry', '0'.repeat(32), '--service', 'a'], says: 'either a uuid' },
  { args: ['durable', 'purge'], says: 'say what to purge' },
  { args: ['durable', 'purge', '--state', 'dispatched'], says: 'Allowed choices are dead' },
];

/** The results of all these command lines. */
const ended = new Map<string, Finished>();

beforeAll(async () => {
  const help = COMMANDS.flatMap((command) => [
    ['help', command],
    [command, '--help'],
  ]);
  const lines = [...help, ...WRONG.map(({ args }) => args)];
  const all = await runEach(lines);
  for (const [at, line] of lines.entries()) {
    const one = all[at];
    if (one !== undefined) ended.set(line.join(' '), one);
  }
});

afterEach(() => killAll());

describe('help', () => {
  it('lists every command, with examples and exit statuses', async () => {
    const { status, stdout, stderr } = await run(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const command of COMMANDS) expect(stdout).toContain(`\n  ${command} `);
    expect(stdout).toContain('EXAMPLES');
    expect(stdout).toContain('EXIT STATUS');
  });

  it.each(COMMANDS)('of %s teaches by example', (command) => {
    const asked = ended.get(`help ${command}`);
    expect(asked?.status).toBe(0);
    expect(asked?.stdout).toContain(`Usage: majordomo ${command} `);
    expect(asked?.stdout).toMatch(new RegExp(`EXAMPLES\\n +.*majordomo ${command}\\b`));
    expect(ended.get(`${command} --help`)).toEqual(asked);
  });

  it('is shown of a command below another, as with --help', async () => {
    for (const path of [
      ['services', 'pause'],
      ['durable', 'result'],
      ['durable', 'schedules', 'pause'],
    ]) {
      const [asked, same] = await runEach([
        ['help', ...path],
        [...path, '--help'],
      ]);
      expect(asked).toMatchObject({ status: 0, stderr: '', stdout: same?.stdout });
      expect(asked?.stdout).toContain(`Usage: majordomo ${path.join(' ')} `);
    }
  });

  it('prints the version and what it runs on, for people and for scripts', async () => {
    const version = (await run(['--version'])).stdout.trim();
    const { stdout } = await run(['version']);
    expect(stdout).toBe(`majordomo ${version}, Node.js ${process.version}, ${PLATFORM}\n`);
    for (const json of [['--json'], ['-o', 'json'], ['--json', '-o', 'json']]) {
      expect(JSON.parse((await run(['version', ...json])).stdout)).toEqual({
        version,
        node: process.version,
        platform: PLATFORM,
      });
    }
  });

  it('refuses --json beside another format', async () => {
    expect(await run(['version', '--json', '-o', 'text'])).toMatchObject({
      status: 64,
      stdout: '',
      stderr: 'majordomo: give either --json or -o, not both\n',
    });
  });

  it('gives the version of the package', async () => {
    const manifest: unknown = JSON.parse(readFileSync('package.json', 'utf8'));
    const { stdout } = await run(['--version']);
    expect(manifest).toMatchObject({ version: stdout.trim() });
  });

  it('goes to standard error, with 64, if there is no command', async () => {
    expect(await run([])).toMatchObject({
      status: 64,
      stdout: '',
      stderr: expect.stringContaining('Usage: majordomo'),
    });
  });
});

describe('wrong usage ends with 64 and a hint', () => {
  it.each(WRONG)('$args', ({ args, says }) => {
    const line = ended.get(args.join(' '));
    expect(line).toMatchObject({ status: 64, stdout: '' });
    expect(line?.stderr).toContain(says);
    expect(line?.stderr).toMatch(/^majordomo: /);
    expect(line?.stderr).not.toContain('    at ');
  });

  it('names the variable if the endpoint came from it', async () => {
    const environment = { MAJORDOMO_ENDPOINT: 'tcp://127.0.0.1:5555, here' };
    const { status, stderr } = await run(['services'], { environment });
    expect(status).toBe(64);
    expect(stderr).toContain("MAJORDOMO_ENDPOINT 'here'");
  });
});

describe('standard output', () => {
  it('may be closed: the command ends without an error message', async () => {
    const child = new Child(['help', 'request']);
    child.process.stdout.destroy();
    child.input('');
    expect(await child.finished()).toMatchObject({ status: 0, stderr: '' });
  });

  it('has no colours without a terminal', async () => {
    const { stdout } = await run(['doctor'], { environment: { FORCE_COLOR: '1' } });
    expect(stdout).not.toContain('\u001b');
  });
});

describe('the program in hints and examples', () => {
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-typed-'));

  afterAll(() => rmSync(folder, { recursive: true }));

  /** What it writes when it is called by this name, through npx or not. */
  function typed(name: string, environment: object, ...args: string[]): string {
    const file = join(folder, name);
    if (!existsSync(file)) symlinkSync(resolve('dist/main.js'), file);
    const env = { ...process.env, npm_command: '', ...environment };
    const { stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
      encoding: 'utf8',
      env,
    });
    return stdout + stderr;
  }

  it.each([
    ['majordomo', {}, 'majordomo'],
    ['majordomo-broker', {}, 'majordomo-broker'],
    ['majordomo-broker', { npm_command: 'exec' }, 'npx majordomo-broker'],
  ])('is named as it was typed: %s %j', (name, environment, says) => {
    expect(typed(name, environment, 'services', 'pause')).toBe(
      `majordomo: missing required argument 'service'\n(${says} help services pause shows what it takes)\n`,
    );
    const help = typed(name, environment, 'help', 'worker');
    expect(help).toContain(`Usage: ${says} worker [options]`);
    expect(help).toContain(`\n  ${says} worker upper -- tr a-z A-Z `);
    // The line ends after the name.
    const wrapped = typed(name, environment, 'help', 'services');
    expect(wrapped.replaceAll(/\s+/g, ' ')).toContain(`see ${says} context`);
    const context = typed(name, environment, 'services', '--context', 'nosuch');
    expect(context).toMatch(/^majordomo: /);
  });
});
