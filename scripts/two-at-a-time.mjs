/**
 * Runs shell commands two at a time, in the order given: `node scripts/two-at-a-time.mjs COMMAND…`.
 * The output of each follows its heading once it has ended, and a table of their times comes last.
 * The first that fails ends the others, and its exit status becomes that of this program.
 */
import { spawn } from 'node:child_process';

const AT_ONCE = 2;

const waiting = process.argv.slice(2);
const running = new Set();
const times = [];
let failure = null;

function start(command) {
  const began = performance.now();
  // A process group of its own: killing it ends all processes that the command started.
  const child = spawn(command, { shell: true, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => output.push(chunk));
  }
  running.add(child);
  child.on('close', (status, signal) => {
    running.delete(child);
    // What was killed because another command failed has nothing to say.
    if (failure === null) {
      const seconds = Math.round((performance.now() - began) / 1000);
      times.push(`${String(seconds).padStart(5)} s  ${command}`);
      process.stdout.write(`\n== ${command}\n${Buffer.concat(output).toString()}`);
      if (status !== 0) fail(command, status ?? 1, signal);
    }
    startNext();
  });
}

function fail(command, status, signal) {
  failure = `FAILED: ${command} (${signal ?? `exit status ${status}`})`;
  process.exitCode = status;
  killRunning();
}

function killRunning() {
  for (const child of running) {
    try {
      // Not SIGKILL: scripts/test.mjs ends Jest, whose group is another.
      process.kill(-child.pid, 'SIGTERM');
    } catch (error) {
      // It has just ended.
      if (error.code !== 'ESRCH') throw error;
    }
  }
}

function startNext() {
  while (failure === null && running.size < AT_ONCE && waiting.length > 0) start(waiting.shift());
  if (running.size > 0) return;
  process.stdout.write(`\n${times.join('\n')}\n`);
  if (failure !== null) process.stdout.write(`\n${failure}\n`);
}

// The groups do not get the signals that a terminal or a CI runner sends to this process.
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
]) {
  process.on(signal, () => {
    killRunning();
    process.exit(128 + number);
  });
}

startNext();
