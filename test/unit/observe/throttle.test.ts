import { describe, expect, it } from '@jest/globals';

import { Throttle } from '../../../src/observe/throttle.js';

function throttled(): { throttle: Throttle; lines: string[]; at: (ms: number) => void } {
  const lines: string[] = [];
  let now = 0;
  const at = (ms: number): void => {
    now = ms;
  };
  return { throttle: new Throttle(() => now), lines, at };
}

function say(throttle: Throttle, lines: string[], kind: string, who: string | null): void {
  const write = (leftOut: number): void => {
    lines.push(`${kind} ${who ?? ''} ${leftOut}`);
  };
  throttle.write(kind, write, who);
}

describe('what peers provoke is told', () => {
  it('at most once a second for each kind, with the number of those left out', () => {
    const { throttle, lines, at } = throttled();
    for (let n = 0; n < 5; n++) say(throttle, lines, 'a', null);
    say(throttle, lines, 'b', null);
    expect(lines).toEqual(['a  0', 'b  0']);
    at(1000);
    say(throttle, lines, 'a', null);
    expect(lines.at(-1)).toBe('a  4');
    throttle.flush();
  });

  it('for each identity that provokes it, where it matters who did', () => {
    const { throttle, lines } = throttled();
    for (const who of ['alice', 'bob', 'alice']) say(throttle, lines, 'rights', who);
    expect(lines).toEqual(['rights alice 0', 'rights bob 0']);
    throttle.flush();
  });

  it('of twenty identities at once, and all others as one (D72)', () => {
    const { throttle, lines } = throttled();
    for (let n = 0; n < 1000; n++) say(throttle, lines, 'rights', `10.0.${n >> 8}.${n & 255}`);
    expect(lines).toHaveLength(21);
    throttle.flush();
    expect(lines).toHaveLength(22);
    expect(lines.at(-1)).toMatch(/ 978$/);
  });
});
