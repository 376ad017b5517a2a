import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { differing, isReserved, withAddresses } = (await import(
  pathToFileURL(resolve('scripts/release-texts.mjs')).href
)) as {
  readonly differing: (first: string, second: string) => string[];
  readonly isReserved: (url: string) => boolean;
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

  it('know an address that is only an example', () => {
    const urls = ['git.example.com', 'example.org', 'example.org.localhost', 'git.localhost'];
    const found = urls.map((host) => isReserved(`git+https://${host}/m/m.git`));
    expect(found).toEqual([true, true, false, false]);
  });
});
