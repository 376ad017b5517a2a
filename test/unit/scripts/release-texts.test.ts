import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { differing, isReserved, markedManifest, markedProject, withAddresses } = (await import(
  pathToFileURL(resolve('scripts/release-texts.mjs')).href
)) as {
  readonly differing: (first: string, second: string) => string[];
  readonly isReserved: (url: string) => boolean;
  readonly markedManifest: (text: string) => string;
  readonly markedProject: (text: string) => string;
  readonly withAddresses: (text: string, url: string, version: string) => string;
};

const SUMS = 'aa  one.tgz\nbb  two.deb\n';

describe('the texts of a release', () => {
  it.each([
    ['equal', SUMS, []],
    ['of other bytes', 'aa  one.tgz\ncc  two.deb\n', ['two.deb']],
    ['without a file', 'aa  one.tgz\n', ['two.deb']],
    ['with one more', `${SUMS}dd  three.whl\n`, ['three.whl']],
  ])('name the files that differ: sums %s', (_, second, names) => {
    expect(differing(SUMS, second)).toEqual(names);
  });

  it('link to files at the tag, and leave other links', () => {
    const text = '[a](docs/a.md#b), [c](https://localhost/c), [d](mailto:d), [e](#e)';
    expect(withAddresses(text, 'git+https://git.example.com/m/m.git', '1.2.3')).toBe(
      '[a](https://git.example.com/m/m/blob/v1.2.3/docs/a.md#b), [c](https://localhost/c), [d](mailto:d), [e](#e)',
    );
  });

  it('mark packages that npm and PyPI refuse', () => {
    const manifest = readFileSync('packages/sdk/package.json', 'utf8');
    const marked = JSON.parse(markedManifest(manifest)) as object;
    expect(marked).toEqual({ ...(JSON.parse(manifest) as object), private: true });
    const project = markedProject(readFileSync('packages/python/pyproject.toml', 'utf8'));
    expect(project).toContain('\nclassifiers = ["Private :: Do Not Upload"]\n');
  });

  it('know an address that is only an example', () => {
    const urls = ['git.example.com', 'example.org', 'example.org.localhost', 'git.localhost'];
    const found = urls.map((host) => isReserved(`git+https://${host}/m/m.git`));
    expect(found).toEqual([true, true, false, false]);
  });
});
