import { fileURLToPath } from 'node:url';

/** Tests are compiled first (tsconfig.test.json); Jest runs the JavaScript, so that worker threads load the same files as in production. */
export default {
  testEnvironment: 'node',
  testRunner: fileURLToPath(new URL('scripts/jest-runner.mjs', import.meta.url)),
  testSequencer: fileURLToPath(new URL('scripts/jest-order.mjs', import.meta.url)),
  reporters: ['default', fileURLToPath(new URL('scripts/jest-progress.mjs', import.meta.url))],
  transform: {},
  rootDir: 'build',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  // What a case waits for outside has up to 180 s (test/support/patience.ts): that fails first, and says
  // what did not come.
  testTimeout: 240_000,
  // More than there are cores on a small machine: integration tests mostly wait.
  maxWorkers: 3,
  // A worker process keeps the modules of the test files that it has run.
  workerIdleMemoryLimit: '300MB',
  // Until then a worker that has not ended is no leak: on a busy machine an end takes more than Jest's 500 ms.
  workerGracefulExitTimeout: 20_000,
  verbose: false,
};
