import { historyText, listText } from '../../../../src/cli/durable/text.js';

const NOW = 1_800_000_000_000;

function request(reason: string | null): Readonly<Record<string, unknown>> {
  return {
    uuid: '0123456789ABCDEF0123456789ABCDEF',
    state: reason === null ? 'pending' : 'dead',
    service: 'pay',
    priority: 0,
    attempts: 1,
    maxAttempts: 10,
    acceptedAt: new Date(NOW - 5000).toISOString(),
    bodyBytes: 3,
    reason,
  };
}

function lines(columns: number, ...reasons: readonly (string | null)[]): string[] {
  return listText(reasons.map(request), NOW, columns).trimEnd().split('\n');
}

describe('the list of stored requests', () => {
  const long = `exit-3: ${'card declined '.repeat(10)}`.trim();

  it('ends with the reason of each, whole where there is no terminal', () => {
    const [head, ...rows] = lines(Infinity, long, null);
    expect(head?.endsWith('  REASON')).toBe(true);
    expect(rows[0]?.endsWith(`  ${long}`)).toBe(true);
    expect(rows[1]?.endsWith('  -')).toBe(true);
  });

  it('cuts it to the width of the terminal', () => {
    const [, row = ''] = lines(120, long, null);
    expect(row).toHaveLength(120);
    expect(row.endsWith('…')).toBe(true);
    expect(row).toContain('  exit-3: card declined');
  });

  it('shows its beginning on a narrow one, too, and leaves out other columns for it', () => {
    const [head, row = ''] = lines(60, long);
    expect(head).toMatch(/^UUID +REASON$/);
    expect(row.endsWith('  exit-3: card declined car…')).toBe(true);
    expect(row).toHaveLength(60);
    for (const line of lines(40, long)) expect(line.length).toBeLessThanOrEqual(40);
  });

  it('shows a reason on one line, without what a terminal would act on', () => {
    const rows = lines(Infinity, 'E: a\nb\u001b[2J');
    expect(rows).toHaveLength(2);
    expect(rows[1]?.endsWith('  E: a\uFFFDb\uFFFD[2J')).toBe(true);
  });
});

describe('the history of a stored request', () => {
  const [acceptedAt, notBefore, expiresAt] = [0, 600_000, 900_000].map((ms) =>
    new Date(NOW + ms).toISOString(),
  );
  const first = { ...request(null), attempts: 0, acceptedAt, notBefore, expiresAt };

  it.each([
    ['from which time its time to live counts', {}, ', 5m 0s after it may first run'],
    ['only when it expires once it was tried', { attempts: 1 }, ''],
    ['only when it expires once it has ended', { state: 'replied' }, ''],
  ])('says %s (D109)', (_, changed, more) => {
    const text = historyText({ ...first, ...changed }, NOW, 120);
    expect(text.split('\n').find((line) => line.startsWith('expires'))).toBe(
      `expires     ${expiresAt} (in 15m 0s)${more}`,
    );
  });

  it.each([
    [
      'when what it waits for ends, before the reason',
      { text: 'its last attempt failed: busy', until: notBefore },
      `until ${notBefore} (in 10m 0s): its last attempt failed: busy`,
    ],
    [
      'since when it lasts, after the reason',
      { text: 'no worker serves its service', since: acceptedAt },
      `no worker serves its service, since ${acceptedAt} (0s ago)`,
    ],
  ])('says %s', (_, waiting, said) => {
    const text = historyText({ ...first, waiting }, NOW, 120);
    expect(text.split('\n').find((line) => line.startsWith('waiting'))).toBe(`waiting     ${said}`);
  });
});
