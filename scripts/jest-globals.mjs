/** Stands for `@jest/globals` (jest-runner.mjs), and is loaded anew for each test file. */
export const { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest, test } =
  globalThis[Symbol.for('majordomo.jest.globals')];
