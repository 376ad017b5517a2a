import { readFileSync } from 'node:fs';

import { itemsBelow, page as pageOf } from './page.js';

const ROOT = new URL('../../../../', import.meta.url);

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

describe('docs/security.md', () => {
  const page = pageOf('security.md');
  const [, below = ''] = page.split('## What is promised');
  const headings = below.split('## What is not promised')[0]?.match(/^### .*$/gm) ?? [];
  const promises = headings.flatMap((heading) => itemsBelow(page, heading));

  it('names for every promise a test that there is', () => {
    expect(headings).toHaveLength(4);
    expect(promises.length).toBeGreaterThan(70);
    for (const promise of promises) {
      const [, file = '', title = ''] = /\(`([^`]+)`: (.*)\)\.$/.exec(promise) ?? [];
      expect({ promise, file }).not.toEqual({ promise, file: '' });
      expect({ file, title, isThere: read(file).includes(title) }).toMatchObject({ isThere: true });
    }
  });
});

describe('SECURITY.md', () => {
  it('says where to report a vulnerability: below the address of the repository', () => {
    const { repository } = JSON.parse(read('package.json')) as { repository: { url: string } };
    const [, address = ''] = /^git\+(https:.*)\.git$/.exec(repository.url) ?? [];
    expect(address).not.toBe('');
    expect(read('SECURITY.md')).toContain(`privately at <${address}/security>.`);
  });
});

describe('docs/dependencies.md', () => {
  it('has every dependency, and no other', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: object };
    const rows = [...read('docs/dependencies.md').matchAll(/^- `([@/a-z0-9-]+)` \(/gm)];
    expect(rows.map(([, name]) => name)).toEqual(Object.keys(dependencies).sort());
  });
});
