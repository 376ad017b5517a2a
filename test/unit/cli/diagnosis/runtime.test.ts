import type { setFlagsFromString } from 'node:v8';

import { nodeVersion } from '../../../../src/cli/diagnosis/checkup/runtime.js';
import { setV8Flags, V8_FLAGS } from '../../../../src/cli/serve/v8-flags.js';
import { Shortcut } from '../../../../src/core/shortcut.js';
import { testedNodes } from '../../../../src/core/version.js';

describe('the version of Node', () => {
  it.each(testedNodes())('%s is one that was run', (version) => {
    expect(nodeVersion(version)).toMatchObject({ state: 'ok', text: `Node ${version}` });
  });

  it.each([
    ['22.16.0', 'problem'],
    ['22.17.0', 'ok'],
    ['24.99.0', 'warning'],
    // Between two lines that were run.
    ['25.9.0', 'ok'],
    ['26.99.0', 'warning'],
    ['27.0.0', 'warning'],
  ])('%s is shown as %s', (version, state) => {
    const finding = nodeVersion(version);
    expect(finding.state).toBe(state);
    if (state === 'warning') expect(finding.text).toContain(testedNodes().join(', '));
  });
});

describe('the flags of V8', () => {
  it('are given up if Node does not take one; the others are set', () => {
    const flags = new Shortcut();
    const set: string[] = [];
    setV8Flags((flag) => {
      set.push(flag);
      if (set.length === 1) throw new Error('fixed');
    }, flags);
    expect(set).toHaveLength(Object.keys(V8_FLAGS).length);
    expect(flags.reason).toContain('fixed');
  });

  it.each<unknown>([null, 7, {}])('are given up if what sets them is %s', (set) => {
    const flags = new Shortcut();
    setV8Flags(set as typeof setFlagsFromString, flags);
    expect(flags.isOff).toBe(true);
  });
});
