import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { memoryVerdicts, renderHttp } from '../../../bench/http/report.js';
import { writeUnlessBusy } from '../../../bench/others.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

const QUIET = { used: 0, kernel: 0, stolen: 0, isBusy: false };

afterEach(removeDaemons);

describe('a report of a benchmark', () => {
  it('is written where no document is yet, and into one that is', () => {
    const document = join(temporaryDirectory(), 'new.md');
    for (const text of ['first', ', second']) writeUnlessBusy(document, (old) => old + text, QUIET);
    expect(readFileSync(document, 'utf8')).toBe('first, second');
  });

  it('judges no memory that shrank while requests waited', () => {
    const bytes = { bare: [1, 1], http: [3, 3], zmtp: [2, 2] };
    const held = [
      { title: 'poll', count: 1, bytes },
      { title: 'stream', count: 1, bytes: { ...bytes, http: [3, -3], zmtp: [2, -2] } },
    ];
    const judged = memoryVerdicts(held);
    expect(judged.map(({ ratio }) => ratio?.median)).toEqual([1.5, undefined]);
    const rest = { facts: [], rounds: 2, seconds: 1, bodyBytes: 1, lanes: [], others: QUIET };
    const lines = renderHttp({ ...rest, held, verdicts: judged }).split('\n');
    const cells = lines.filter((line) => line.includes('memory of each'));
    expect(
      cells.map((line) =>
        line
          .split('|')
          .map((cell) => cell.trim())
          .slice(2, 5),
      ),
    ).toEqual([
      ['1.50× (1.50× – 1.50×)', '≤ 1.50×', 'met'],
      ['–', '≤ 1.50×', 'not judged'],
    ]);
  });
});
