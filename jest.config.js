import { fileURLToPath } from 'node:url';

/** Tests are compiled first (tsconfig.test.json); Jest runs the JavaScript, so that worker threads load the same files as in production. */
export default {
  testEnvironment: 'node',
  testRunner: fileURLToPath(new URL('scripts/jest-runner.mjs', import.meta.url)),
  injectGlobals: false,
  transform: {},
  rootDir: 'build',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  // What a case waits for outside has up to 180 s (test/support/patience.ts): that fails first, and says
  // what did not come.
  testTimeout: 240_000,
  // More than there are cores on a small machine: integration tests mostly wait.
  maxWorkers: 3,
  // What a file leaves in its worker's heap takes so long to be freed at the end that Jest takes it for a leak.
  workerIdleMemoryLimit: '300MB',
  verbose: false,
  reporters: ['default', fileURLToPath(new URL('scripts/jest-suites.mjs', import.meta.url))],
};
