/**
 * The programs of the Guide's chapters, unchanged, as black boxes:
 * `GUIDE_C=<folder of its C sources> npm run test:only -- test/interop/guide`. A program that is added needs a row in a
 * table of `cases/`, and what it shows a row in docs/migrating.md.
 */
import { readFileSync } from 'node:fs';

import { itWithTool, toolAvailable } from '../../support/tools.js';
import { CLONE, CLONE_SERVER } from './cases/clone.js';
import { FREELANCE } from './cases/freelance.js';
import { MAJORDOMO } from './cases/majordomo.js';
import { PAIR } from './cases/pair.js';
import { PIRATES } from './cases/pirates.js';
import { REQUEST_REPLY } from './cases/request-reply.js';
import { STREAMS } from './cases/streams.js';
import { THEIR_SERVERS } from './cases/their-servers.js';
import { removeBuilt } from './support/build.js';
import type { Case } from './support/case.js';
import { Place } from './support/place.js';

const OUR_BROKER: readonly Case[] = [
  ...REQUEST_REPLY,
  ...PIRATES,
  ...FREELANCE,
  ...PAIR,
  ...MAJORDOMO,
  ...CLONE,
];

const SOURCES = "GUIDE_C, the folder of the Guide's C programs";
const TOOL = toolAvailable(SOURCES) ? 'network namespaces' : SOURCES;

const PAGE = 'docs/migrating.md';

/** The programs that run unchanged, as the page's table says. */
function saidUnchanged(): readonly string[] {
  const [, section = ''] = readFileSync(PAGE, 'utf8').split(
    "\n## The Guide's programs, one by one\n",
  );
  const [table = ''] = section.split('\n## ');
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => {
    const [, programs = '', what = ''] = row.split('|');
    const names = programs.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g);
    return /\bunchanged\b/.test(what) ? Array.from(names, ([, name = '']) => name) : [];
  });
}

let place: Place | null = null;

afterEach(async () => {
  await place?.remove();
  place = null;
});

afterAll(removeBuilt);

function runAll(cases: readonly Case[]): void {
  for (const { programs, shows, run, timeoutMs } of cases) {
    itWithTool(
      TOOL,
      `${programs.join(', ')}: ${shows}`,
      async () => {
        place = new Place();
        await run(place);
      },
      timeoutMs,
    );
  }
}

describe("the Guide's clients and workers at this broker", () => runAll(OUR_BROKER));

describe("the Guide's queues, broker, server and publisher with our peers", () => {
  runAll([...THEIR_SERVERS, ...STREAMS, ...CLONE_SERVER]);
});

it(`${PAGE} says of a program that it runs unchanged if and only if it ran here`, () => {
  const ran = new Set(OUR_BROKER.flatMap(({ programs }) => programs));
  expect([...saidUnchanged()].sort()).toEqual([...ran].sort());
});
