import fc from 'fast-check';

import {
  escapeControls,
  escapedLine,
  escapeName,
  terminalSafeJson,
} from '../../../src/core/escape.js';

describe('A service name that is shown', () => {
  it.each([
    ['echo', 'echo'],
    ['a b~!"/', 'a b~!"/'],
    ['100%', '100%25'],
    ['%41', '%2541'],
    ['\x00\x1f\x7f\x80\xff', '%00%1F%7F%80%FF'],
    ['line\r\nbreak\t', 'line%0D%0Abreak%09'],
    ['\x1b[31m', '%1B[31m'],
    ['', ''],
  ])('%j is written as %j (D3)', (name, shown) => {
    expect(escapeName(Buffer.from(name, 'latin1'))).toBe(shown);
  });

  it('has its UTF-8 characters escaped byte by byte (D3)', () => {
    expect(escapeName(Buffer.from('é€'))).toBe('%C3%A9%E2%82%AC');
  });

  it('escapes each of the 256 bytes to a text that no other byte has (D3)', () => {
    const shown = Array.from({ length: 256 }, (_, byte) => escapeName(Uint8Array.of(byte)));
    expect(new Set(shown).size).toBe(256);
    expect(shown.filter((text) => text.length === 1)).toHaveLength(0x7e - 0x20 + 1 - 1);
  });

  it('is printable ASCII and gives the bytes back, so that no two names look the same (D3)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (name) => {
        const shown = escapeName(name);
        expect(shown).toMatch(/^[\x20-\x7e]*$/u);
        const back = shown.replace(/%([0-9A-F]{2})/gu, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
        expect(back).toBe(Buffer.from(name).toString('latin1'));
      }),
    );
  });
});

describe('Text on one line', () => {
  it('shows what would end it, or what a terminal would act on', () => {
    expect(escapedLine('grün 😀 50%\\')).toBe('grün 😀 50%\\');
    expect(escapedLine('a\r\nb\tc\u001b[2J\u009b\u2028\u2029\u202e')).toBe(
      String.raw`a\u{d}\u{a}b\u{9}c\u{1b}[2J\u{9b}\u{2028}\u{2029}\u{202e}`,
    );
  });
});

describe('JSON for a terminal', () => {
  it('has no character that a terminal acts on, and means the same', () => {
    const value = { text: 'a\u001b[2J\u009b2J\u007f\u202ertl\u2028\ufeffé€😀 <b>' };
    expect(terminalSafeJson(value)).toBe(
      String.raw`{"text":"a\u001b[2J\u009b2J\u007f\u202ertl\u2028\ufeffé€😀 <b>"}`,
    );
    expect(terminalSafeJson(value, 2)).toMatch(/^\{\n {2}"text"/u);
  });

  it('is read back as what was written, whatever text is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = terminalSafeJson([text]);
        expect(shown).not.toMatch(/[\p{Cc}\u2028-\u202e]/u);
        expect(JSON.parse(shown)).toEqual([text]);
      }),
    );
  });
});

describe('A text on a terminal', () => {
  it.each([
    ['grün 日本 👍', 'grün 日本 👍'],
    ['one\n\ttwo\n', 'one\n\ttwo\n'],
    ['\x1b[2J\x07', '\\u{1b}[2J\\u{7}'],
    ['\r\x7f\x9b', '\\u{d}\\u{7f}\\u{9b}'],
    ['a\u202eb', 'a\\u{202e}b'],
  ])('%j is shown as %j', (text, shown) => expect(escapeControls(text)).toBe(shown));
});
