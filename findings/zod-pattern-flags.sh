#!/usr/bin/env bash
# zod 4.6.7, arktype 2.2.9 and valibot 1.5.0: the JSON Schema of /^[a-z]+$/i.
#
# Expected: an error, as for a date: `pattern` has no flags.
#
# Seen: zod and arktype write the pattern without its flag, so the schema refuses what the validator takes. valibot
# gives an error.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts zod@4.6.7 arktype@2.2.9 valibot@1.5.0 @valibot/to-json-schema@1.8.0 ajv@8.20.0
cat >try.js <<'JS'
import { toStandardJsonSchema } from '@valibot/to-json-schema';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type } from 'arktype';
import * as v from 'valibot';
import * as z from 'zod';

const ajv = new Ajv2020();
const cases = [[/^[a-z]+$/i, 'PARIS'], [/^a.b$/s, 'a\nb'], [/^second$/m, 'first\nsecond']];
const seen = { zod: [], arktype: [], valibot: [] };
for (const [pattern, value] of cases) {
  const validators = {
    zod: () => z.string().regex(pattern),
    arktype: () => type(pattern),
    valibot: () => toStandardJsonSchema(v.pipe(v.string(), v.regex(pattern))),
  };
  for (const [library, make] of Object.entries(validators)) {
    let said;
    try {
      const validator = make();
      const accepts = (await validator['~standard'].validate(value)).issues === undefined;
      const schema = validator['~standard'].jsonSchema.input({ target: 'draft-2020-12' });
      said = accepts && !ajv.validate(schema, value) ? `validator accepts, JSON Schema refuses (pattern ${schema.pattern})` : `agree: ${JSON.stringify(schema)}`;
    } catch (error) {
      said = `refuses to convert: ${String(error.message).split('\n')[0]}`;
    }
    seen[library].push(said);
    console.log(`${pattern} with ${JSON.stringify(value)}, ${library}: ${said}`);
  }
}
const all = (library, start) => seen[library].every((said) => said.startsWith(start));
const asSeen = all('zod', 'validator accepts') && all('arktype', 'validator accepts') && all('valibot', 'refuses');
console.log(asSeen ? 'as described' : 'DIFFERENT from the description');
process.exit(asSeen ? 0 : 1);
JS
timeout 30 node try.js
