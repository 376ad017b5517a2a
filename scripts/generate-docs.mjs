// Writes the files that are generated from the code: configuration, metrics, API description. Run
// it after a build: node scripts/generate-docs.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const { exampleFile, jsonSchema, referencePage } = await import(
  new URL('compiled/config/document.js', root).href
);
const { openApiFile } = await import(new URL('compiled/admin/http/openapi.js', root).href);
const { metricsPage } = await import(new URL('compiled/admin/metrics/metrics-page.js', root).href);

const files = {
  'docs/configuration.md': referencePage(
    readFileSync(new URL('docs/configuration.md', root), 'utf8'),
  ),
  'config/majordomo.schema.json': jsonSchema(),
  'config/majordomo.yaml': exampleFile(),
  'docs/openapi.json': openApiFile(),
  'docs/metrics.md': metricsPage(),
};

for (const [path, text] of Object.entries(files)) {
  writeFileSync(fileURLToPath(new URL(path, root)), text);
  console.log(path);
}
