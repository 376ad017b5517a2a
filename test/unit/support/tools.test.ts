import { howToRun, itWithTool, toolAvailable } from '../../support/tools.js';

describe('a case that needs a tool', () => {
  it.each([
    [true, undefined, 'run'],
    [true, 'true', 'run'],
    [false, undefined, 'skip'],
    [false, '', 'skip'],
    [false, 'true', 'fail'],
  ])('(there: %p, CI=%j) is to %s (contract §1)', (isThere, ci, wanted) => {
    expect(howToRun(isThere, ci)).toBe(wanted);
  });

  itWithTool('gcc and libzmq3-dev', 'runs only where its tool is there', () => {
    expect(toolAvailable('gcc and libzmq3-dev')).toBe(true);
  });
});
