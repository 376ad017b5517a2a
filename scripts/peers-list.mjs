// The lists of docs/peers.md, from test/interop/peers.json: what test/interop/languages.test.ts runs, and what
// was run by hand.
import { readFileSync } from 'node:fs';

const RUNS = {
  client: 'client',
  worker: 'worker',
  durable: 'durable',
  curve: 'CURVE',
  heartbeats: 'heartbeats',
};

/** The items below each heading of the page. */
export function peerLists() {
  const { tested, byHand } = JSON.parse(
    readFileSync(new URL('../test/interop/peers.json', import.meta.url), 'utf8'),
  );
  return { '## In the tests': tested.map(item), '## By hand': byHand.map(item) };
}

function item({ name, version, package: installed, runs, differs, know, date }) {
  const names = Object.entries(RUNS).filter(([run]) => runs.includes(run));
  const ran =
    names.length === Object.keys(RUNS).length ? 'all' : names.map(([, said]) => said).join(', ');
  const from = installed.includes(' ') || installed === 'npm' ? installed : `\`${installed}\``;
  const when = date === undefined ? '' : `; ${date}`;
  const notes = [differs, know]
    .filter((note) => note !== '')
    .map((note) => ` ${note[0].toUpperCase()}${note.slice(1)}.`);
  return `**${name}** ${version} (${from}${when}): ${ran}.${notes.join('')}`;
}
