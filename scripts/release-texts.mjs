/** The texts of a release: of its changes, of its sums, and of the address that its packages name. */

/** A name that nobody can register (RFC 2606): the repository's address is still to be set. */
const RESERVED_HOST = /^git\+https:\/\/([^/]*\.)?example\.(org|com|net)\//;

export const isReserved = (url) => RESERVED_HOST.test(url);

/** A `package.json` whose package npm does not publish. */
export function markedManifest(text) {
  return `${JSON.stringify({ ...JSON.parse(text), private: true }, null, 2)}\n`;
}

/** A `pyproject.toml` whose package PyPI does not take. */
export function markedProject(text) {
  return text.replace(/^(?=readme = )/m, 'classifiers = ["Private :: Do Not Upload"]\n');
}

/** The links of a page at the root of the repository, as they work elsewhere: to its files at the tag of the version. */
export function withAddresses(text, url, version) {
  const files = `${url.replace(/^git\+/, '').replace(/\.git$/, '')}/blob/v${version}/`;
  return text.replaceAll(/\]\((?![a-z]+:|#)/g, `](${files}`);
}

/** Takes two texts of `sha256sum`. @returns the names of files whose sums differ, or that only one of them has */
export function differing(first, second) {
  const [one, other] = [first, second].map((text) => text.split('\n').filter(Boolean));
  const alone = [
    ...one.filter((line) => !other.includes(line)),
    ...other.filter((line) => !one.includes(line)),
  ];
  return [...new Set(alone.map((line) => line.replace(/^\S+ +/, '')))].sort();
}
