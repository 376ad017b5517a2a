import { readFileSync } from 'node:fs';

const readme = readFileSync('README.md', 'utf8');
const [firstScreen = ''] = readme.split('\n```');

/** The items of the first screen: a claim, and the page that proves it. */
const claims = firstScreen
  .split(/\n- /)
  .slice(1)
  .map((item) => ({
    figures:
      item.replace(/\([^)]*\)|\[|\]/g, ' ').match(/\b\d[\d,.]*\d (?=s\b)|\b\d{1,3}(?:,\d{3})+/g) ??
      [],
    page: /\]\((docs\/[^)#]+)/.exec(item)?.[1] ?? '',
  }));

describe('README.md', () => {
  it.each(claims)('has a figure that stands in $page, which a command has written', (claim) => {
    const proof = readFileSync(claim.page, 'utf8');
    expect(proof).toContain('<!-- Written by `npm run ');
    expect(claim.figures.length).toBeGreaterThan(0);
    expect(claim.figures.filter((figure) => !proof.includes(figure.trim()))).toEqual([]);
  });

  it('has three claims, and a picture of 20 seconds that a run has written', () => {
    expect(claims).toHaveLength(3);
    const [, picture = ''] = /!\[[^\]]*\]\(([^)]+)\)/.exec(firstScreen) ?? [];
    const drawn = readFileSync(picture, 'utf8');
    expect(drawn).toContain('<!-- Written by `npm run recording`');
    expect(drawn).toMatch(/animation:now 20000ms/);
  });
});
