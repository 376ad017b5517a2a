import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { rolldown } from 'rolldown';

const { withLateRequires } = (await import(
  pathToFileURL(resolve('scripts/late-requires.mjs')).href
)) as {
  readonly withLateRequires: (text: string, names: readonly string[], unmet: Set<string>) => string;
};

const SOURCE = `
  import { Serializer, setFlagsFromString } from 'node:v8';
  import tls from 'node:tls';
  import 'node:https';
  import { join } from 'node:path';
  export const use = () => [setFlagsFromString, new Serializer(), tls.connect, new tls.Server(), join];`;

/** As the bundler writes it now. */
async function bundled(): Promise<string> {
  const plugin = {
    name: 'a',
    resolveId: (id: string) => (id === 'a.mjs' ? id : null),
    load: () => SOURCE,
  };
  const bundle = await rolldown({ input: 'a.mjs', platform: 'node', plugins: [plugin] });
  const { output } = await bundle.generate({ format: 'cjs' });
  await bundle.close();
  return output[0].code;
}

it('modules of Node that are to be late are loaded where they are used', async () => {
  const unmet = new Set(['v8', 'tls', 'https', 'dns']);
  const lines = withLateRequires(await bundled(), [...unmet], unmet).split('\n');
  expect(lines.filter((line) => /^\S.*require\(/.test(line))).toEqual([
    'let node_path = require("node:path");',
  ]);
  expect(lines.join()).toContain('require("node:v8").setFlagsFromString');
  expect(lines.join()).toContain('require("node:tls").connect');
  expect(lines.join()).toContain('new (require("node:v8")).Serializer()');
  expect(lines.join()).toContain('new (require("node:tls")).Server()');
  expect([...unmet]).toEqual(['https', 'dns']);
});

it.each(['const node_v8 = require("node:v8");', "var v8 = require('node:v8');"])(
  'a build fails if the bundler writes %s',
  (text) => {
    expect(() => withLateRequires(text, ['v8'], new Set())).toThrow(
      'node:v8 would be loaded at once',
    );
  },
);
