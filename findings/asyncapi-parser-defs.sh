#!/usr/bin/env bash
# @asyncapi/parser 3.6.6: a payload schema that refers to definitions of its own.
#
# Expected: a schema with an $id is a resource: "#/$defs/…" in it is looked for in it, as JSON Schema has it and ajv
# does.
#
# Seen: every "#/…" is looked for from the root of the AsyncAPI document, whatever $id says: what zod writes for a
# type that contains itself is no valid payload.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @asyncapi/parser@3.6.6 zod@4.6.7 ajv@8.20.0
cat >try.js <<'JS'
import { Parser } from '@asyncapi/parser';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as z from 'zod';

const Folder = z.object({ name: z.string(), get folders() { return z.array(Folder); } }).meta({ id: 'Folder' });
const Tree = z.object({ root: Folder });
const documentOf = (payload) => ({
  asyncapi: '3.0.0',
  info: { title: 'trees', version: '1.0.0' },
  channels: { trees: { address: 'trees', messages: { tree: { payload } } } },
  operations: { take: { action: 'receive', channel: { $ref: '#/channels/trees' } } },
});
const parser = new Parser();
async function parsed(payload) {
  const { document, diagnostics } = await parser.parse(JSON.stringify(documentOf(payload)));
  const errors = diagnostics.filter(({ severity }) => severity === 0);
  return document === undefined ? `refused: ${errors[0]?.code}: ${errors[0]?.message}` : 'accepted';
}
let asSeen = true;
for (const [target, ajv, at] of [['draft-07', new Ajv(), 'definitions'], ['draft-2020-12', new Ajv2020(), '$defs']]) {
  const schema = { $id: `https://schemas.example/${target}/tree`, ...z.toJSONSchema(Tree, { target }) };
  const check = ajv.compile(schema);
  const good = check({ root: { name: 'a', folders: [{ name: 'b', folders: [] }] } });
  const bad = check({ root: { name: 'a', folders: [{ folders: [] }] } });
  const alone = good && !bad ? 'right' : 'WRONG';
  const inside = await parsed(schema);
  const rewritten = JSON.parse(JSON.stringify(schema).replaceAll(`"#/${at}/`, `"#/channels/trees/messages/tree/payload/${at}/`));
  const moved = await parsed(rewritten);
  console.log(`${target}: ajv alone: ${alone}; as a payload: ${inside}; with references from the root of the document: ${moved}`);
  asSeen &&= alone === 'right' && inside.startsWith('refused: invalid-ref') && moved === 'accepted';
}
console.log(asSeen ? 'as described' : 'DIFFERENT from the description');
process.exit(asSeen ? 0 : 1);
JS
timeout 30 node try.js
