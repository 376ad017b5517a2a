/**
 * Whether the native modules load. The check runs in a child process: a module that was built for
 * another Node may end its process without a message.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

import { messageOf } from '../../../core/errors.js';
import { atLeast } from '../../../core/version.js';
import { REINSTALL } from '../../serve/native.js';
import { type Finding, ok, problem, warning } from '../../../core/finding.js';

const require = createRequire(import.meta.url);

const PROBE_MS = 20_000;
/** Earlier versions can lose data when they reset the write-ahead log. */
const SQLITE_MIN = '3.51.3';

/** The module's version, printed by a process that loads and uses it. */
const PROBES = {
  zeromq: 'process.stdout.write(require(process.argv[1]).version)',
  'better-sqlite3':
    'const D = require(process.argv[1]); const db = new D(":memory:");' +
    'process.stdout.write(db.prepare("SELECT sqlite_version() AS v").get().v)',
} as const;

/**
 * @param needed whether a listener uses the transport `libzmq`; the other needs no native module
 */
export async function zeromq(needed: boolean): Promise<Finding> {
  const name = 'zeromq';
  const probed = await probe(name);
  if (probed.ok) return ok(name, `loads, libzmq ${probed.text}`);
  const text = `does not load: ${probed.text}`;
  if (needed) return problem(name, text, REINSTALL);
  return warning(name, `${text}; only the transport libzmq needs it`, REINSTALL);
}

export async function sqlite(): Promise<Finding> {
  const name = 'better-sqlite3';
  const probed = await probe(name);
  if (!probed.ok) return problem(name, `does not load: ${probed.text}`, REINSTALL);
  const text = `loads, SQLite ${probed.text}`;
  if (atLeast(probed.text, SQLITE_MIN)) return ok(name, text);
  return problem(name, text, `SQLite must be ${SQLITE_MIN} or later: ${REINSTALL}`);
}

async function probe(
  module: keyof typeof PROBES,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  let path: string;
  try {
    path = require.resolve(module);
  } catch (error) {
    return { ok: false, text: firstLine(messageOf(error)) };
  }
  const child = spawn(process.execPath, ['-e', PROBES[module], path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PROBE_MS,
    killSignal: 'SIGKILL',
  });
  let out = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  try {
    await once(child, 'close');
  } catch (error) {
    return { ok: false, text: messageOf(error) };
  }
  if (child.exitCode === 0) return { ok: true, text: out };
  if (child.signalCode !== null) return { ok: false, text: `it was ended by ${child.signalCode}` };
  const said = errors.split('\n').find((line) => line.includes('Error'));
  return { ok: false, text: said ?? `it exited with ${child.exitCode ?? 'no status'}` };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
