/** By which names one finds it: the table of docs/installing.md, and the address that stands in package.json. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { page, rowsBelow, words } from './page.js';

const { addressIn, copies } = (await import(
  pathToFileURL(resolve('scripts/address.mjs')).href
)) as {
  readonly addressIn: (folder: string) => string;
  readonly copies: () => string[];
};

function manifest(folder: string): { readonly name: string; readonly bin?: object } {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string };
}

function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}

describe('the names', () => {
  it('of the table are those of the packages', () => {
    const distributions = rowsBelow(page('installing.md'), '## Names');
    const named = distributions.map(([, name]) => words(name)[0]);
    const python = /^name = "(.*)"$/m.exec(textOf('packages/python/pyproject.toml'))?.[1];
    const sdk = manifest('packages/sdk').name;
    const broker = manifest('.').name;
    expect(named).toEqual([broker, sdk, python, 'majordomo', broker]);
    const commands = distributions.flatMap(([, , , command]) => words(command));
    expect(commands).toEqual(expect.arrayContaining(Object.keys(manifest('.').bin ?? {})));
    expect(textOf('packages/python/pyproject.toml')).toContain(
      `[project.scripts]\n${words(distributions[2]?.[3])[0]} = `,
    );
  });

  it('has one address, that of package.json (else: npm run address)', () => {
    const address = addressIn('.');
    expect(address).toMatch(/^https:\/\/[^/]+\/\S+[^/]$/);
    const without = copies().filter((path) => !textOf(path).includes(address));
    expect(without).toEqual([]);
    const runbooks = copies().flatMap((path) => textOf(path).match(/(?<=runbook_url: )\S+/g) ?? []);
    expect(runbooks.length).toBeGreaterThan(30);
    expect(runbooks.filter((url) => !url.startsWith(`${address}/`))).toEqual([]);
  });

  it('has no address in a page of docs/', () => {
    const { host } = new URL(addressIn('.'));
    const pages = readdirSync('docs', { recursive: true, encoding: 'utf8' });
    const isWrong = (name: string): boolean =>
      name.endsWith('.md') && textOf(join('docs', name)).includes(host);
    expect(pages.filter(isWrong)).toEqual([]);
  });
});
