/** What Jest puts into each test file (`injectGlobals`, scripts/jest-runner.mjs). */
import type * as given from '@jest/globals';

declare global {
  const afterAll: typeof given.afterAll;
  const afterEach: typeof given.afterEach;
  const beforeAll: typeof given.beforeAll;
  const beforeEach: typeof given.beforeEach;
  const describe: typeof given.describe;
  const expect: typeof given.expect;
  const it: typeof given.it;
  const jest: typeof given.jest;
}
