import { describe, expect, it } from '@jest/globals';
import { howToRun, itWithTool, toolAvailable } from '../../support/tools.js';

describe('a case that needs a tool', () => {
  it('runs where the tool is there, in continuous integration or not', () => {
    expect(howToRun(true, undefined)).toBe('run');
    expect(howToRun(true, 'true')).toBe('run');
  });

  it('is skipped where the tool is absent', () => {
    expect(howToRun(false, undefined)).toBe('skip');
    expect(howToRun(false, '')).toBe('skip');
  });

  it('fails where the tool is absent and CI=true (contract §1)', () => {
    expect(howToRun(false, 'true')).toBe('fail');
  });

  it('asks for root what the system says', () => {
    expect(toolAvailable('root')).toBe(process.getuid?.() === 0);
  });

  itWithTool('gcc and libzmq3-dev', 'runs only where its tool is there', () => {
    expect(toolAvailable('gcc and libzmq3-dev')).toBe(true);
  });
});
