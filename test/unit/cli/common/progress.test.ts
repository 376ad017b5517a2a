import { Progress } from '../../../../src/cli/common/progress.js';

describe('progress', () => {
  const { stderr } = process;
  const isTerminal = stderr.isTTY;
  let written: string[];

  beforeEach(() => {
    written = [];
    jest.spyOn(stderr, 'write').mockImplementation((text) => {
      written.push(String(text).replace('\r\u001b[K', ''));
      return true;
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
    stderr.isTTY = isTerminal;
  });

  it('is a bar on one line of a terminal, drawn when it changes, and gone in the end', () => {
    stderr.isTTY = true;
    const progress = new Progress('backup');
    for (const done of [0, 1, 500, 500, 1000]) progress.show(done, 1000);
    progress.end();
    expect(written).toEqual([
      'backup [------------------------] 0 %',
      'backup [############------------] 50 %',
      'backup [########################] 100 %',
      '',
    ]);
  });

  it('is a count where nobody knows how much there is', () => {
    stderr.isTTY = true;
    const progress = new Progress('purge');
    progress.count(200);
    progress.show(0, 0);
    expect(written).toEqual(['purge: 200', 'purge [########################] 100 %']);
  });

  it('is nothing where there is no terminal', () => {
    stderr.isTTY = false;
    const progress = new Progress('backup');
    progress.show(1, 2);
    progress.end();
    expect(written).toEqual([]);
  });
});
