import { testedNodes } from '../../../src/core/version.js';
import { page, rowsBelow } from './page.js';

it('the newest Node.js of each line that was run stands where users look', () => {
  const named = (name: string): string[] => page(name).match(/\b2[2-9]\.[0-9]+\.[0-9]+\b/g) ?? [];
  for (const version of testedNodes()) {
    expect(named('stability.md')).toContain(version);
    expect(named('installing.md')).toContain(version);
  }
  const [image] = /(?<=NODE_IMAGE=node:)[0-9.]+/.exec(page('../Dockerfile')) ?? [];
  expect(testedNodes()).toContain(image);
});

it('each line that was run has its row, until Node.js ends it', () => {
  const rows = rowsBelow(page('stability.md'), '## Node.js, Python and systems');
  const lines = rows.flatMap(([, on = '']) => /Node\.js ([0-9]+)/.exec(on)?.[1] ?? []);
  expect(lines).toEqual(testedNodes().map((version) => version.split('.')[0]));
});
