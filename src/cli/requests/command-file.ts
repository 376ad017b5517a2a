/** Which file a command is, and how its processes end. Windows has neither the modes of Unix nor its process groups. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { posix, win32 } from 'node:path';

import { usage } from '../common/options.js';
import { printable } from '../common/output.js';

interface System {
  readonly platform: string;
  readonly env: NodeJS.ProcessEnv;
  /** Whether it is a file, and this process may run it. */
  readonly isRunnable: (path: string) => boolean;
}

const THIS: System = { platform: process.platform, env: process.env, isRunnable };

/** What Windows itself runs; all else has a program that does. */
const PROGRAM = /\.(com|exe)$/i;
const USUAL_PATHEXT = '.COM;.EXE;.BAT;.CMD';

/**
 * The file of a program that is given as a path, or stands in a folder of PATH.
 * @throws ERR_USAGE if there is none
 */
export function commandFile(program: string, system: System = THIS): string {
  const isWindows = system.platform === 'win32';
  const paths = isWindows ? win32 : posix;
  const isPath = isWindows ? /[\\/:]/.test(program) : program.includes('/');
  const named = (system.env['PATH'] ?? '').split(paths.delimiter);
  const folders = isPath ? [''] : named.map((folder) => (folder === '' ? '.' : folder));
  const files = folders.flatMap((folder) =>
    endingsOf(program, isWindows, system).map((ending) => paths.join(folder, program + ending)),
  );
  const isNone = program === '' || program.includes('\0');
  const found = isNone ? undefined : files.find(system.isRunnable);
  if (found === undefined) throw usage(`${printable(program)}: no such command`);
  if (!isWindows) return program;
  if (PROGRAM.test(found)) return found;
  const how = `write what runs it first, such as cmd /c ${program}`;
  throw usage(`${printable(found)} is no program, but is run by one: ${printable(how)}`);
}

function endingsOf(program: string, isWindows: boolean, { env }: System): readonly string[] {
  if (!isWindows) return [''];
  const given = (env['PATHEXT'] ?? USUAL_PATHEXT).toLowerCase().split(';');
  return [...(win32.extname(program) === '' ? [] : ['']), ...given.filter((each) => each !== '')];
}

function isRunnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Ends the process of a command, and what it has started. On Windows there is no signal that it could handle. */
export function endProcesses(
  pid: number,
  signal: NodeJS.Signals,
  platform: string = process.platform,
): void {
  if (platform !== 'win32') {
    kill(-pid, signal);
    return;
  }
  const args = ['/PID', String(pid), '/T', '/F'];
  const killer = spawn('taskkill', args, { stdio: 'ignore', windowsHide: true });
  // The command itself must end, also where taskkill is another one than that of Windows.
  killer.once('error', () => kill(pid, 'SIGKILL'));
  killer.once('exit', (status) => {
    if (status !== 0) kill(pid, 'SIGKILL');
  });
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has ended by itself.
  }
}
