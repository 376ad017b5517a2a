// Writes the files that are generated from the code: configuration, metrics, API description, and tables in
// other pages. Run it after a build: node scripts/generate-docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { withContents } from './contents.mjs';
import { decisionsPage } from './decisions.mjs';
import { withLists } from './lists.mjs';
import { logTables } from './logs-tables.mjs';
import { peerLists } from './peers-list.mjs';

const root = new URL('../', import.meta.url);
const { exampleFile, jsonSchema, referencePage } = await import(
  new URL('compiled/config/document.js', root).href
);
const { openApiFile } = await import(new URL('compiled/admin/http/openapi.js', root).href);
const { metricsDocument } = await import(
  new URL('compiled/admin/metrics/metrics-document.js', root).href
);
const { REQUEST_ROWS } = await import(new URL('compiled/store/request.js', root).href);
const { RANKED_FIELDS } = await import(new URL('compiled/store/ranked-codec.js', root).href);
const { BODY_FIELDS } = await import(new URL('compiled/extensions/map/storage.js', root).href);
const { KEPT_ROWS } = await import(new URL('compiled/wire/job-option-table.js', root).href);

/** The page, with the rows of each heading in the first table below it. */
async function withRows(path, tables) {
  const file = fileURLToPath(new URL(path, root));
  let page = readFileSync(file, 'utf8');
  for (const [heading, rows] of Object.entries(tables)) {
    const [before, after] = page.split(`\n${heading}\n`);
    const text = rows.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
    const below = after.replace(/(^\| -[^\n]*\n)(\|[^\n]*\n)*/m, (_, rule) => rule + text);
    page = `${before}\n${heading}\n${below}`;
  }
  return await formatted(file, page);
}

async function formatted(file, page) {
  return await format(page, { ...(await resolveConfig(file)), parser: 'markdown' });
}

/** The page, with its table of contents. */
async function inChapters(path) {
  const file = fileURLToPath(new URL(path, root));
  return await formatted(file, withContents(readFileSync(file, 'utf8')));
}

const fields = [
  ...REQUEST_ROWS.map(
    ({ field, name, kind, setBy }) =>
      `${field} ${name}: ${kind}${setBy === 'client' ? ', client' : ''}`,
  ),
  ...KEPT_ROWS.map(({ field, name, type }) => `${field} ${name}: ${type}, client`),
];
const bytesOf = (table) => Object.entries(table).map(([name, { as }]) => `${name}: ${as}`);
const textOf = (path) => readFileSync(new URL(path, root), 'utf8');

const files = {
  'docs/configuration.md': referencePage(textOf('docs/configuration.md')),
  'config/majordomo.schema.json': jsonSchema(),
  'config/majordomo.yaml': exampleFile(),
  'docs/openapi.json': openApiFile(),
  'docs/metrics.md': metricsDocument(),
  'docs/peer-protocol.md': withLists(textOf('docs/peer-protocol.md'), {
    '### The fields of a request': fields,
    '### The fields of a ranked record': bytesOf(RANKED_FIELDS),
    '### The fields of a record of the map': bytesOf(BODY_FIELDS),
  }),
  'docs/logs.md': await withRows(
    'docs/logs.md',
    await logTables((path) => import(new URL(`compiled/${path}`, root).href)),
  ),
  'docs/operating.md': await inChapters('docs/operating.md'),
  'docs/peers.md': withLists(textOf('docs/peers.md'), peerLists()),
};
files['docs/decisions.md'] = decisionsPage(textOf('docs/protocol.md'));

for (const [path, text] of Object.entries(files)) {
  writeFileSync(fileURLToPath(new URL(path, root)), text);
  console.log(path);
}
