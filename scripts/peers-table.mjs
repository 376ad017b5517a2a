// The tables of docs/peers.md, from test/interop/peers.json: what test/interop/languages.test.ts runs, and what
// was run by hand.
import { readFileSync } from 'node:fs';

const COLUMNS = ['client', 'worker', 'durable', 'curve', 'heartbeats'];

/** The rows below each heading of the page. */
export function peerTables() {
  const { tested, byHand } = JSON.parse(
    readFileSync(new URL('../test/interop/peers.json', import.meta.url), 'utf8'),
  );
  return { '## In the tests': tested.map(cells), '## By hand': byHand.map(cells) };
}

function cells({ name, version, package: installed, runs, differs, know, date }) {
  const ran = COLUMNS.map((column) => (runs.includes(column) ? 'yes' : ''));
  const when = date === undefined ? [] : [date];
  return [name, version, ...when, shown(installed), ...ran, differs, know];
}

function shown(installed) {
  return installed.includes(' ') || installed === 'npm' ? installed : `\`${installed}\``;
}
