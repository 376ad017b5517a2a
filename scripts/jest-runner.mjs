/**
 * The `testRunner` of jest.config.js: Jest's own (jest-circus), but test files are loaded by Node's `import`.
 *
 * Jest makes a context for each test file and compiles all of src/ anew in it, which took half of a run's
 * processor time. Here each worker process loads src/ once. What is in test/ is loaded anew for each
 * file, so that its variables and hooks are that file's. Modules of src/ may keep caches, pools and keys
 * of their own, but nothing by which a file would see what an earlier one did.
 */
import { createRequire, registerHooks } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

import { ModernFakeTimers } from '@jest/fake-timers';
import { ModuleMocker } from 'jest-mock';

const require = createRequire(import.meta.url);
const CIRCUS = join(dirname(require.resolve('jest-circus')), 'jestAdapterInit.js');
/** jest-circus keeps its event handlers there. */
const HANDLERS = Symbol.for('EVENT_HANDLERS');

const TESTS = new URL('../build/test/', import.meta.url).href;
/** What a file gets that imports Jest's functions, as is usual elsewhere: they are those of the file. */
const GLOBALS =
  'data:text/javascript,export const { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest, test } = globalThis;';

/** How many files this process has run, with this one. */
let files = 0;

new Worker(new URL('jest-guard.mjs', import.meta.url)).unref();

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier === '@jest/globals') return { url: `${GLOBALS} // ${files}`, shortCircuit: true };
    const resolved = nextResolve(specifier, context);
    const isTest = resolved.url.startsWith(TESTS) && !resolved.url.includes('?');
    return isTest ? { ...resolved, url: `${resolved.url}?${files}` } : resolved;
  },
});

/** Whether timers are Jest's, for the file that runs. */
let areFake = false;

/**
 * What an earlier file left may end a moment later, by a timer, and begin another: while timers are Jest's, this one would
 * be among those of the file that runs. So it waits until they are Node's again.
 */
for (const name of ['setTimeout', 'setInterval']) {
  const real = globalThis[name];
  const kept = (callback, ms, ...args) => {
    const madeIn = files;
    const timer = real(() => {
      if (areFake && madeIn !== files) timer.refresh();
      else callback(...args);
    }, ms);
    return timer;
  };
  Object.defineProperties(kept, Object.getOwnPropertyDescriptors(real));
  globalThis[name] = kept;
}

/** The part of Jest's object `jest` that the tests use. */
class JestObject {
  #mocker = new ModuleMocker(globalThis);
  #timers;

  constructor(config) {
    this.#timers = new ModernFakeTimers({ config, global: globalThis });
  }

  spyOn(...args) {
    return this.#mocker.spyOn(...args);
  }

  restoreAllMocks() {
    this.#mocker.restoreAllMocks();
  }

  useFakeTimers(options) {
    this.#timers.useFakeTimers(options);
    areFake = true;
  }

  useRealTimers() {
    this.#timers.useRealTimers();
    areFake = false;
  }

  setSystemTime(now) {
    this.#timers.setSystemTime(now);
  }

  getTimerCount() {
    return this.#timers.getTimerCount();
  }

  advanceTimersByTime(ms) {
    this.#timers.advanceTimersByTime(ms);
  }

  async advanceTimersByTimeAsync(ms) {
    await this.#timers.advanceTimersByTimeAsync(ms);
  }
}

export default async function run(globalConfig, config, _environment, runtime, testPath, send) {
  // A fresh copy: it has the tests that were declared, and its handlers, in variables.
  delete require.cache[CIRCUS];
  delete globalThis[HANDLERS];
  const { initialize, runAndTransformResultsToJestFormat } = require(CIRCUS);
  files++;
  const jest = new JestObject(config);
  globalThis.jest = jest;
  await initialize({
    config,
    environment: { global: globalThis },
    globalConfig,
    localRequire: require,
    parentProcess: process,
    runtime,
    sendMessageToJest: send,
    setGlobalsForRuntime: () => undefined,
    testPath,
  });
  // Node's own shows lines of the sources (--enable-source-maps).
  Error.prepareStackTrace = undefined;
  try {
    await import(pathToFileURL(testPath));
    return await runAndTransformResultsToJestFormat({ config, globalConfig, testPath });
  } finally {
    jest.restoreAllMocks();
    jest.useRealTimers();
  }
}
