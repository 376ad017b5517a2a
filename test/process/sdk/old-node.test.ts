import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const { engines } = JSON.parse(readFileSync('packages/sdk/package.json', 'utf8')) as {
  readonly engines: { readonly node: string };
};

/** What a program that loads the package writes at its end, on a Node.js that has no `isWellFormed`, as 18. */
function ended(load: string): string {
  const program = `delete String.prototype.isWellFormed; ${load}`;
  return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stderr;
}

describe('the SDK on a Node.js that is too old', () => {
  it.each(['index', 'client', 'worker', 'stream'])('says so when it is loaded: %s', (entry) => {
    const file = resolve('packages/sdk/dist', entry);
    const says = `majordomo-sdk: Node.js ${process.version} is too old: install ${engines.node.slice(2)} or newer`;
    expect(ended(`import('${file}.js')`)).toContain(says);
    expect(ended(`require('${file}.cjs')`)).toContain(says);
  });
});
