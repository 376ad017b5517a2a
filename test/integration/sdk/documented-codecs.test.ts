/** Runs the codecs that docs/sdk.md shows, as it shows them, between a client and a worker. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import ts from 'typescript';

import { type Codec, connect, Worker } from '../../../src/sdk/index.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';

const SNIPPET = /^```ts\n((?:(?!^```$)[\s\S])*?const (\w+): Codec\b[\s\S]*?)^```$/gm;
/** In build/, from where packages are found. */
const folder = mkdtempSync(resolve('build', 'documented-codecs-'));
let broker: TestBroker;

/** The codec of this name, as an own module. */
async function documented(name: string): Promise<Codec> {
  const found = [...readFileSync('docs/sdk.md', 'utf8').matchAll(SNIPPET)];
  const text = found.find(([, , codec]) => codec === name)?.[1];
  if (text === undefined) throw new Error(`docs/sdk.md shows no codec ${name}`);
  const { outputText } = ts.transpileModule(`${text}\nexport { ${name} };\n`, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, outputText);
  const module = (await import(pathToFileURL(path).href)) as Readonly<Record<string, Codec>>;
  const codec = module[name];
  if (codec === undefined) throw new Error(`no ${name}`);
  return codec;
}

beforeAll(async () => {
  broker = await startTestBroker();
});

afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a codec of docs/sdk.md', () => {
  it.each([
    ['msgpack', { terms: [1, -2], when: null, nested: { deep: ['ä', true] } }],
    ['sum', { terms: [1, -2, 300] }],
  ])('%s carries values to the handler and back', async (name, value) => {
    const codec = await documented(name);
    const options = { endpoints: broker.endpoint, service: name, codec };
    const seen: unknown[] = [];
    const worker = new Worker(options, (request) => {
      seen.push(request.value);
      return request.value;
    });
    await worker.ready;
    const client = connect(broker.endpoint, { codec });
    try {
      expect((await client.request(name, value)).value).toEqual(value);
      expect(seen).toEqual([value]);
    } finally {
      await client.close();
      await worker.close();
    }
  });

  it('msgpack sends a Map, a Set and a Date as what all languages read', async () => {
    const { encode, decode } = await documented('msgpack');
    const at = new Date(0);
    const value = { map: new Map([['a', new Set([1, at])]]), bytes: Buffer.from('x'), none: null };
    const read = { map: { a: [1, at.toISOString()] }, bytes: new Uint8Array([0x78]), none: null };
    expect(decode(Buffer.from(encode(value)))).toEqual(read);
  });
});
