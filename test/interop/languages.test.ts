/**
 * A client and a worker in each language of the Guide that has a ZeroMQ binding in Debian 12, beside
 * those in C, C++ and Python, which have tests of their own. docs/migrating.md says which.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Daemon } from '../support/daemon.js';
import { ask, clientOf, endAll } from '../support/daemon-users.js';
import { itWithTool, type Tool, toolAvailable } from '../support/tools.js';
import { Program, SOURCES } from './support/program.js';
import { Registered } from './support/registered.js';
import { rowsBelow } from '../unit/docs/page.js';
import { startDaemonOn, TRANSPORTS } from './support/transports.js';

const JAVA = 'default-jdk-headless and libjeromq-java';
const JEROMQ = '/usr/share/java/jeromq.jar';

interface Language {
  readonly name: string;
  readonly tool: Tool;
  /** Its program, which is given a role and its arguments. */
  line(): readonly [string, ...string[]];
}

const LANGUAGES: readonly Language[] = [
  {
    name: 'php',
    tool: 'php-cli and php-zmq',
    line: () => ['php', join(SOURCES, 'guide.php')],
  },
  {
    name: 'perl',
    tool: 'libzmq-ffi-perl',
    line: () => ['perl', join(SOURCES, 'guide.pl')],
  },
  {
    name: 'ruby',
    tool: 'ruby-ffi-rzmq',
    line: () => ['ruby', join(SOURCES, 'guide.rb')],
  },
  {
    name: 'java',
    tool: JAVA,
    line: () => ['java', '-XX:TieredStopAtLevel=1', '-cp', `${JEROMQ}:${classes}`, 'Guide'],
  },
];

let classes: string;
let daemon: Daemon;
let workers: Registered;

function start({ name, line }: Language, ...args: readonly string[]): Program {
  const [command, ...rest] = line();
  return new Program(name, command, [...rest, ...args]);
}

beforeAll(() => {
  classes = mkdtempSync(join(tmpdir(), 'mdp-java-'));
  if (!toolAvailable(JAVA)) return;
  const args = ['-cp', JEROMQ, '-d', classes, join(SOURCES, 'Guide.java')];
  const { status, stderr } = spawnSync('javac', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`javac: ${stderr}`);
});

it('docs/migrating.md names them, and what each was given', () => {
  const rows = rowsBelow(readFileSync('docs/migrating.md', 'utf8'), '### In which languages');
  const named = rows.map(([language = '']) => language.toLowerCase());
  expect(named).toEqual(['c', 'c++', 'python', ...LANGUAGES.map(({ name }) => name)]);
});

afterAll(() => {
  rmSync(classes, { recursive: true, force: true });
});

describe.each(TRANSPORTS)('programs in the languages of the Guide, over %s', (transport) => {
  beforeAll(async () => {
    daemon = await startDaemonOn(transport);
    workers = new Registered(daemon);
  });

  afterEach(() => workers.none());

  afterAll(endAll);

  for (const language of LANGUAGES) {
    const { name, tool } = language;
    itWithTool(
      tool,
      `${name}: its worker answers its client and the SDK, and leaves (7/MDP)`,
      async () => {
        const worker = await workers.comes(start(language, 'worker', daemon.endpoint, name, '2'));
        const client = start(language, 'client', daemon.endpoint, name, 'one', '', 'three');
        expect(await client.finished()).toEqual([
          { event: 'reply', frames: ['MDPC01', name, name, 'one', '', 'three'] },
        ]);
        expect(await ask(clientOf(daemon), name, 'hello')).toEqual([name, 'hello']);
        await worker.finished();
        const asking = start(language, 'client', daemon.endpoint, 'mmi.service', name);
        const [answer] = await asking.finished();
        expect(answer?.['frames']).toEqual(['MDPC01', 'mmi.service', '404']);
        expect(daemon.logged('message.malformed')).toEqual([]);
        expect(daemon.logged('request.requeued')).toEqual([]);
      },
    );
  }
});
