import all from './jest.config.js';

/** What `npm test` runs: all suites but these, which have commands of their own. */
export default {
  ...all,
  testPathIgnorePatterns: [
    'browser',
    'disk',
    'hostile',
    'interop',
    'pair',
    'postgres',
    'process',
    'shipped',
  ].map((suite) => `<rootDir>/test/${suite}/`),
};
