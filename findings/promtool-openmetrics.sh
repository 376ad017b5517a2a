#!/usr/bin/env bash
# promtool 2.42 (Debian 12) and the OpenMetrics text of prom-client 15.1.3.
#
# Expected: `promtool check metrics` reads what Prometheus asks for first.
#
# Seen: it takes the text for the old format and complains of a counter without a help text; Prometheus scrapes it,
# with the right type.
set -euo pipefail
dir=$(mktemp -d)
pids=()
clean() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; rm -rf "$dir"; }
trap clean EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download prometheus=2.42.0+ds-5+deb12u1
dpkg -x prometheus_*.deb root
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts prom-client@15.1.3
cat >serve.js <<'JS'
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import client from 'prom-client';
const textOf = async (contentType) => {
  const registry = new client.Registry(contentType);
  new client.Counter({ name: 'jobs_total', help: 'Jobs that were done.', registers: [registry] }).inc();
  return { text: await registry.metrics(), contentType: registry.contentType };
};
const open = await textOf(client.Registry.OPENMETRICS_CONTENT_TYPE);
const old = await textOf(client.Registry.PROMETHEUS_CONTENT_TYPE);
writeFileSync('open.txt', open.text);
writeFileSync('old.txt', old.text);
const server = createServer((request, response) => {
  response.setHeader('Content-Type', open.contentType).end(open.text);
}).listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  writeFileSync('prometheus.yml', `global: {scrape_interval: 1s}
scrape_configs: [{job_name: it, static_configs: [{targets: ['127.0.0.1:${port}']}]}]
`);
  const free = createServer().listen(0, '127.0.0.1', () => {
    writeFileSync('port', String(free.address().port));
    free.close();
  });
});
JS
node serve.js & pids+=($!)
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
check() { local status=0; root/usr/bin/promtool check metrics <"$1" >said.txt 2>&1 || status=$?; printf '%s: status %s: %s\n' "$2" "$status" "$(tr '\n' ' ' <said.txt)"; last=$status; }
cat open.txt
check old.txt 'promtool, the old format'; old=$last
check open.txt 'promtool, OpenMetrics'; open=$last; said=$(cat said.txt)
port=$(cat port)
root/usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$port" >prometheus.log 2>&1 & pids+=($!)
scraped=''
for _ in $(seq 60); do
  scraped=$(curl -s "http://127.0.0.1:$port/api/v1/targets/metadata?metric=jobs" || true)
  [[ $scraped == *'"type"'* ]] && break
  sleep 0.3
done
value=$(curl -s "http://127.0.0.1:$port/api/v1/query?query=jobs_total" || true)
echo "Prometheus, metadata: $scraped"
echo "Prometheus, jobs_total: $value"
if [[ $old == 0 && $open == 3 && $said == 'jobs_total no help text' && $scraped == *'"type":"counter"'*'Jobs that were done.'* && $value == *'"value"'* ]]; then
  echo 'as described'
else
  echo 'DIFFERENT from the description'
  exit 1
fi
