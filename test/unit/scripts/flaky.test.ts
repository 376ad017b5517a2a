import { existsSync, readFileSync } from 'node:fs';

const CASES_MAX = 5;
const CASE = /^(?<file>\S+) "(?<title>.+)": (?<reason>.{20,})$/;

describe('the list of flaky cases', () => {
  const cases = readFileSync('.ci/flaky', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  it('has five at most, each of a file that is there, with a reason', () => {
    expect(cases.length).toBeLessThanOrEqual(CASES_MAX);
    for (const line of cases) {
      const { file = '' } = CASE.exec(line)?.groups ?? {};
      expect([line, existsSync(file)]).toEqual([line, true]);
    }
  });
});
