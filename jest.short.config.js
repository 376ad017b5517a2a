import all from './jest.config.js';

/** What `npm test` runs: all but what takes minutes and has a command of its own. */
export default {
  ...all,
  testPathIgnorePatterns: ['/test/browser/', '/test/hostile/', '/test/pair/'],
};
