#!/usr/bin/env bash
# rolldown 1.3.2: output without comments.
#
# Expected: `comments: false` leaves none: its description is "Strip all comments".
#
# Seen: with it, as without it, each module of a chunk has a comment with the path of its file, and so tells the folders of
# the machine that built it (relative to the working directory). `minify` takes them out.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund rolldown@1.3.2
mkdir inner
printf '/** Adds. */\nexport function add(a, b) {\n  return a + b; // the sum\n}\n' >inner/part.js
printf 'import { add } from "./inner/part.js";\nconsole.log(add(process.argv.length, 1));\n' >main.js
cat >try.js <<'JS'
import { rolldown } from 'rolldown';

async function commentsIn(options) {
  const bundle = await rolldown({ input: 'main.js', treeshake: false });
  const { output } = await bundle.generate({ format: 'cjs', ...options });
  await bundle.close();
  return output[0].code.split('\n').filter((line) => /^\s*\/[/*]/.test(line));
}
const without = await commentsIn({ comments: false });
const small = await commentsIn({ minify: true, comments: false });
console.log('comments: false:', JSON.stringify(without));
console.log('and minify: true:', JSON.stringify(small));
const named = without.filter((line) => line.includes('inner/part.js'));
process.exit(named.length === 1 && small.length === 0 ? 0 : 1);
JS
node try.js
