/**
 * Jest looks at a worker's memory between files only (`workerIdleMemoryLimit`).
 *
 * A thread beside the tests of a process (jest-runner.mjs). It ends a process that takes too much memory, and prints
 * what the test did: otherwise the process takes the memory of the whole machine, and the system ends any
 * process, without a word. A test that grows in a loop without a pause lets no timer of its own thread run.
 */
import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';

const RSS_BYTES_MAX = 4 * 2 ** 30;
const LOOK_MS = 500;
/** A thread that waits cannot be paused. */
const PAUSE_MS_MAX = 5000;

/** Evaluated in the thread of the tests. */
const FACTS = `{
  const { testPath, currentTestName } = globalThis.expect?.getState() ?? {};
  const open = process.getActiveResourcesInfo();
  JSON.stringify({ testPath, currentTestName, ...process.memoryUsage(), open });
}`;

function end(facts) {
  writeSync(2, `\nmore than ${RSS_BYTES_MAX} bytes of memory: ${facts}\n`);
  process.kill(process.pid, 'SIGKILL');
}

const looking = setInterval(() => {
  if (process.memoryUsage.rss() < RSS_BYTES_MAX) return;
  clearInterval(looking);
  const session = new Session();
  session.connectToMainThread();
  const urls = new Map();
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  session.once('Debugger.paused', ({ params: { callFrames } }) => {
    const lines = callFrames.map(({ functionName, location: { scriptId, lineNumber } }) => {
      return `\n    at ${functionName} (${urls.get(scriptId)}:${lineNumber + 1})`;
    });
    session.post('Runtime.evaluate', { expression: FACTS }, (error, answer) => {
      const { result, exceptionDetails } = answer ?? {};
      const facts = error?.message ?? exceptionDetails?.exception.description ?? result.value;
      end(`${facts}${lines.join('')}`);
    });
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
  setTimeout(end, PAUSE_MS_MAX, 'its thread waits');
}, LOOK_MS);
