/** Stands for `@jest/globals`, which throws outside of Jest's contexts (jest-runner.mjs); loaded anew for each test file. */
export const { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest, test } =
  globalThis[Symbol.for('majordomo.jest.globals')];
