import { describe, expect, it } from '@jest/globals';

import { shownFrame } from '../../../src/cli/frames.js';

describe('a frame on a terminal', () => {
  it.each([
    ['grün 日本 👍', 'grün 日本 👍'],
    ['one\n\ttwo\n', 'one\n\ttwo\n'],
    ['\x1b[2J\x07', '\\u{1b}[2J\\u{7}'],
    ['\r\x7f\x9b', '\\u{d}\\u{7f}\\u{9b}'],
    ['a\u202eb', 'a\\u{202e}b'],
  ])('%j is shown as %j', (text, shown) => {
    expect(shownFrame(Buffer.from(text))).toBe(shown);
  });

  it('is shown with replacements where it is not UTF-8', () => {
    expect(shownFrame(Buffer.from([0x61, 0xff, 0x9b]))).toBe('a\ufffd\ufffd');
  });
});
