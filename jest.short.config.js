import all from './jest.config.js';

/** What `npm test` runs: everything that takes less than two minutes. Each of these has a command of its own. */
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
