import { prettyLines } from '../../../src/admin/log/pretty-lines.js';

const HOSTILE = 'a\r\n[00:00:00] INFO: all is well\u001b[2J\u009b2J\u2028\u202e';
const TIME = '2026-11-27T10:00:00.000Z';

function lineOf(level: string, msg: string): string {
  return `${JSON.stringify({ level, time: TIME, event: 'ha.connected', peer: HOSTILE, msg })}\n`;
}

describe('the log for people', () => {
  it.each([
    ['the message alone', 'info', false],
    ['fields, at level debug', 'info', true],
    ['fields, of a crash', 'fatal', false],
  ])(
    'is one line for each event, whatever texts of others are in it: %s',
    async (_, level, full) => {
      const pretty = await prettyLines(false, () => full);
      const shown = pretty(lineOf(level, `connected to ${HOSTILE}`));
      expect(shown).toMatch(/^\[[^\]]+\] [A-Z]+: connected to a\\u\{d\}\\u\{a\}\[00:00:00\] INFO/);
      expect(shown.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(shown.at(-1)).toBe('\n');
      expect(shown.includes('"peer":"a\\r\\n')).toBe(full || level === 'fatal');
    },
  );

  it('has colours on a terminal, and leaves other texts as they are', async () => {
    const pretty = await prettyLines(true, () => false);
    const plain = await prettyLines(false, () => false);
    expect(pretty(lineOf('warn', 'x'))).toContain('\u001b[');
    expect(plain(lineOf('warn', 'the name Zoë\\n 50% "…" 😀'))).toContain(
      ' WARN: the name Zoë\\n 50% "…" 😀\n',
    );
  });
});
