import { formatted, type OutputFormat, type View } from '../../../../src/cli/common/formats.js';

type Item = Readonly<Record<string, unknown>>;

const ITEMS: readonly Item[] = [
  { name: 'pay', queued: 3, state: 'paused' },
  { name: 'mail', queued: 0, state: 'served', 'p-99': [1, 2] },
];
const VIEW: View<readonly Item[]> = {
  text: (items, width) => `${items.length} items, ${width}\n`,
  names: (items) => items.map(({ name }) => name),
  json: (items) => ({ items, next: null }),
};

function shown(output: OutputFormat, view = VIEW): Promise<string> {
  return formatted(output, ITEMS, view);
}

describe('-o', () => {
  it('shows text, all of it without a terminal and as wide', async () => {
    expect(await shown('text')).toBe('2 items, Infinity\n');
    expect(await shown('wide')).toBe('2 items, Infinity\n');
  });

  it('name shows one name per line', async () => expect(await shown('name')).toBe('pay\nmail\n'));

  it.each([
    ['{.items[*].name}', 'pay\nmail\n'],
    ['.items[*].name', 'pay\nmail\n'],
    ['$.items[*].name', 'pay\nmail\n'],
    ['items[-1].name', 'mail\n'],
    ['{.items[?(@.state=="paused")].name}', 'pay\n'],
    ['{.items[?@.queued > 2].queued}', '3\n'],
    ["{.items[1]['p-99']}", '[1,2]\n'],
    ['{.next}', 'null\n'],
    ['{.nothing}', ''],
    ['{..state}', 'paused\nserved\n'],
  ] as const)('jsonpath=%s finds %j in what json shows', async (path, found) => {
    expect(await shown(`jsonpath=${path}`)).toBe(found);
  });

  it('jsonpath has a list as .items, too', async () => {
    const list = { text: VIEW.text };
    expect(await shown('jsonpath={.items[*].name}', list)).toBe('pay\nmail\n');
    expect(await shown('jsonpath={[0].name}', list)).toBe('pay\n');
  });

  it('jsonpath shows nothing that a terminal would act on', async () => {
    const view = { ...VIEW, json: () => ({ a: 'x\u001b[2J\ny' }) };
    expect(await shown('jsonpath={.a}', view)).toBe('x\uFFFD[2J\uFFFDy\n');
  });

  it('jsonpath with a range is refused', async () => {
    await expect(shown('jsonpath={range .items[*]}{.name}{end}')).rejects.toMatchObject({
      message: expect.stringContaining('there is no range: each value is on a line'),
    });
  });

  it.each([
    ['{.items[}', 'unclosed bracketed selection, at character 9'],
    ['{.items[*].}', 'it ends too early, at character 12'],
    ['.it ems', "expected '.', '..' or a bracketed selection, found 'e', at character 5"],
    ['{.items[?(@.a=b)]}', "unexpected filter selector token '=', at character 14"],
    ['{.a}{.b}', "expected '.', '..' or a bracketed selection, found '}', at character 4"],
    ['{.a["\\u12"]}', 'incomplete escape sequence, at character 6'],
    ['{.名[}', 'unclosed bracketed selection, at character 5'],
    ['', 'it ends too early, at character 1'],
  ] as const)('jsonpath=%s is refused: %s', async (path, why) => {
    const example = "an example: -o jsonpath='{.items[*].name}'";
    // A Chinese character takes two cells.
    const before = Number(/\d+$/.exec(why)?.[0]) - 1 + (path.includes('名') ? 1 : 0);
    await expect(shown(`jsonpath=${path}`)).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: `-o jsonpath: ${why}:\n  ${path}\n  ${' '.repeat(before)}^\n${example}`,
    });
  });
});
