import { say } from '../../../../src/cli/common/output.js';

describe('a message for people', () => {
  const { isTTY } = process.stderr;
  const { NO_COLOR, TERM } = process.env;
  let written = '';

  beforeEach(() => {
    written = '';
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
    Object.assign(process.env, { TERM: 'xterm', NO_COLOR: '' });
  });

  afterEach(() => {
    jest.restoreAllMocks();
    process.stderr.isTTY = isTTY;
    Object.assign(process.env, { NO_COLOR: NO_COLOR ?? '', TERM: TERM ?? '' });
  });

  it.each([
    [true, 'majordomo: \u001b[33mkill \uFFFD\u001b[0m\n'],
    [false, 'majordomo: kill \uFFFD\n'],
  ])('has its style on a terminal (%s), and nothing else that one acts on', (isTerminal, shown) => {
    process.stderr.isTTY = isTerminal;
    say('kill \u001b', 'yellow');
    expect(written).toBe(shown);
  });
});
