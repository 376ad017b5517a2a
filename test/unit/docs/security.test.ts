import { readFileSync } from 'node:fs';

const ROOT = new URL('../../../../', import.meta.url);

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

describe('docs/security.md', () => {
  const page = read('docs/security.md');
  const promises = page
    .split('## What is promised')[1]
    ?.split('## What is not promised')[0]
    ?.split('\n')
    .filter((line) => /^\| [A-Z]/.test(line));

  it('names for every promise a test that there is', () => {
    expect(promises?.length).toBeGreaterThan(25);
    for (const line of promises ?? []) {
      const [, promise = '', shown = ''] = line.split(' | ').map((cell) => cell.trim());
      const [, file = '', title = ''] = /^`([^`]+)`: (.*?) *\|?$/.exec(shown || promise) ?? [];
      expect({ line, file }).not.toEqual({ line, file: '' });
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
    const rows = [...read('docs/dependencies.md').matchAll(/^\| `([@/a-z0-9-]+)` /gm)];
    expect(rows.map(([, name]) => name)).toEqual(Object.keys(dependencies).sort());
  });
});
