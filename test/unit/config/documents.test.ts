import { readFileSync } from 'node:fs';

import { z } from 'zod';
import { parse } from 'yaml';

import { exampleFile, jsonSchema, referencePage } from '../../../src/config/document.js';
import { SECTIONS } from '../../../src/config/schema-data.js';
import { load } from './support.js';

const KEYS = Object.entries(SECTIONS).flatMap(([section, { keys }]) =>
  Object.entries(keys).map(([key, row]) => ({ section, key, row })),
);

const reference = (): string => referencePage(readFileSync('docs/configuration.md', 'utf8'));

describe('what is made from the rows', () => {
  it.each([
    ['docs/configuration.md', reference],
    ['config/majordomo.schema.json', jsonSchema],
    ['config/majordomo.yaml', exampleFile],
  ])('%s is what the code makes now (else: build, node scripts/generate-docs.mjs)', (file, make) =>
    expect(readFileSync(file, 'utf8')).toBe(make()),
  );

  it('the page has an item for every key, and no other', () => {
    const items = [...reference().matchAll(/^- \*\*`(.*?)`\*\*/gm)].map(([, name]) => name);
    expect(items).toEqual(KEYS.map(({ section, key }) => `${section}.${key}`));
  });
});

describe('the example file', () => {
  const example = exampleFile();
  const everything = example.replace(/^( *)#(?=[a-z])/gm, '$1');

  it('changes nothing as it is', () => {
    expect(load({ text: example }).config).toEqual(load({}).config);
  });

  it('changes nothing with every setting taken in', () => {
    expect(load({ text: everything }).config).toEqual(load({}).config);
    for (const { section, key, row } of KEYS) {
      const given = (parse(everything) as Record<string, Record<string, unknown>>)[section]?.[key];
      expect([key, given ?? null]).toEqual([key, row.default]);
    }
  });

  it('names every key', () => {
    for (const { key } of KEYS) expect(example).toMatch(new RegExp(`^ {2}# ?${key}:`, 'm'));
  });
});

describe('the JSON Schema', () => {
  const schema = z.fromJSONSchema(
    JSON.parse(jsonSchema()) as Parameters<typeof z.fromJSONSchema>[0],
  );
  const accepts = (text: string): boolean => schema.safeParse(parse(text)).success;

  it('accepts the example, as it is and with every setting taken in', () => {
    expect(accepts(exampleFile())).toBe(true);
    expect(accepts(exampleFile().replace(/^( *)#(?=[a-z])/gm, '$1'))).toBe(true);
  });

  it('accepts every form of a listener, and sizes as text', () => {
    expect(
      accepts('{broker: {listen: [{endpoint: "tcp://*:1", allow: [worker]}, "ipc://a"]}}'),
    ).toBe(true);
    expect(accepts('{limits: {messageBytes: 1MiB, queuedBytes: 4096}}')).toBe(true);
  });

  it('refuses unknown keys and wrong values', () => {
    for (const text of [
      '{brokr: {}}',
      '{broker: {lisen: 1}}',
      '{broker: {heartbeatLiveness: 0}}',
      '{limits: {messageBytes: 5kB}}',
      '{log: {level: loud}}',
      '{broker: {listen: [{allow: [worker]}]}}',
    ]) {
      expect([text, accepts(text)]).toEqual([text, false]);
    }
  });
});
