import { type Column, narrowText, table } from '../../../../src/cli/common/table.js';

interface Row {
  readonly name: string;
  readonly count: number;
  readonly why: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'COUNT', cell: ({ count }) => String(count), right: true, drop: 2 },
  { head: 'TWICE', cell: ({ count }) => String(2 * count), right: true, drop: 1 },
  { head: 'WHY', cell: ({ why }) => why, cut: 6 },
];
const ROWS: readonly Row[] = [
  { name: 'one', count: 1, why: 'a reason' },
  { name: 'eleven', count: 11, why: 'card declined by the bank' },
];

function lines(width: number, rows = ROWS): string[] {
  return table(COLUMNS, rows, width).trimEnd().split('\n');
}

describe('a table', () => {
  it('has all columns, aligned, where there is room for them or no terminal', () => {
    const all = [
      'NAME    COUNT  TWICE  WHY',
      'one         1      2  a reason',
      'eleven     11     22  card declined by the bank',
    ];
    expect(lines(Infinity)).toEqual(all);
    expect(lines(47)).toEqual(all);
  });

  it('does not fill up all lines because of a long cell where there is no terminal', () => {
    const long = 'tcp://127.0.0.1:5555,'.repeat(20);
    const rows = [
      { name: 'one', count: 1, why: '' },
      { name: long, count: 11, why: '' },
    ];
    const [head = '', ...rest] = lines(Infinity, rows);
    expect(head).toBe(`NAME${' '.repeat(36)}  COUNT  TWICE  WHY`);
    expect(rest).toEqual([`one${' '.repeat(37)}      1      2`, `${long}     11     22`]);
  });

  it('cuts one column first', () => {
    expect(lines(30)[2]).toBe('eleven     11     22  card de…');
    expect(lines(30)[1]).toBe('one         1      2  a reason');
  });

  it('then leaves out columns in their order, and gives the room to the one that is cut', () => {
    expect(lines(27)).toEqual([
      'NAME    COUNT  WHY',
      'one         1  a reason',
      'eleven     11  card declin…',
    ]);
    expect(lines(20)).toEqual(['NAME    WHY', 'one     a reason', 'eleven  card declin…']);
  });

  it.each([0, 1, 2, 5, 9, 13, 14, 20, 21, 27, 28, 40])('has no line over %d cells', (width) => {
    for (const line of lines(width)) expect(line.length).toBeLessThanOrEqual(width);
  });

  it('counts wide characters as two cells and accents as none', () => {
    const rows = [
      { name: '支払', count: 1, why: 'e\u0301' },
      { name: 'café', count: 1, why: '' },
    ];
    expect(lines(Infinity, rows)).toEqual([
      'NAME  COUNT  TWICE  WHY',
      '支払      1      2  e\u0301',
      'café      1      2',
    ]);
    const [, row = ''] = lines(8, [{ name: 'x', count: 1, why: '支払支払' }]);
    expect(row).toBe('x     …');
  });

  it('says in its help what a narrow terminal leaves out', () => {
    expect(narrowText(COLUMNS)).toBe(
      'On a narrow terminal WHY is cut, and then columns are left out, in this order:\nTWICE, COUNT. -o wide shows all.\n',
    );
  });

  it('takes a hundred thousand rows', () => {
    const many = Array.from({ length: 200_000 }, () => ({ name: 'one', count: 1, why: '' }));
    expect(lines(Infinity, many)).toHaveLength(200_001);
  });
});
