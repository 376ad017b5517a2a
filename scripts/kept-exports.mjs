/** Takes out of what knip reports (knip.config.js) the exports that are kept although only tests use them. */

/** `FILE: NAME` → why. */
const KEPT = new Map([
  ['src/admin/http/openapi.ts: openApiFile', 'scripts/generate-docs.mjs'],
  ['src/admin/log/process-events.ts: PROCESS_EVENTS', 'scripts/logs-tables.mjs'],
  ['src/bstar/fsm.ts: RULES', 'the search takes them out in turn'],
  ['src/extensions/programs/sse.ts: eventText', 'the text of one event, apart from connections'],
  ['src/node/node.ts: eventsOf', 'documents and names of events are compared with it'],
  ['src/titanic/machine/requests/fsm.ts: TRANSITIONS', 'the search takes them out in turn'],
  ['src/titanic/machine/requests/fsm.ts: tableOf', 'the search takes them out in turn'],
  ['src/titanic/machine/requests/fsm.ts: STATES', 'the search names them'],
  ['src/titanic/machine/requests/fsm.ts: EVENTS', 'the search names them'],
  ['src/core/z85.ts: decodeZ85', "the RFC's vectors are no keys"],
  ['src/store/sqlite/tables/ranked-rows.ts: prepareRankedStatements', 'the test of query plans'],
  ['src/store/ranked-codec.ts: RANKED_FIELDS', 'scripts/generate-docs.mjs'],
  ['src/extensions/map/storage.ts: BODY_FIELDS', 'scripts/generate-docs.mjs'],
  ['src/extensions/map/storage.ts: rankedOf', 'tests keep records of the map without a node'],
  ['src/extensions/map/storage.ts: recordIn', 'tests and the fuzzer read bodies'],
  ['src/extensions/postgres/session.ts: FREE', 'the test of query plans'],
  ['src/extensions/postgres/session.ts: NEW_FENCING_TOKEN', 'the test of query plans'],
  ['src/extensions/postgres/looks.ts: UNCLAIMED', 'the test of query plans'],
  ['src/extensions/postgres/server.ts: lockLimitMs', 'the simulated database waits as long'],
  ['src/extensions/postgres/sql-tables.ts: tablesOver', 'tests use a connection of their own'],
  ['src/extensions/postgres/recount.ts: pauseAfter', 'the benchmark of counts'],
  ['src/extensions/postgres/lease.ts: Watch', 'a clock that a script moves'],
  ['src/extensions/fleet/checkup.ts: answering', 'servers that no test can have off loopback'],
  ['src/wire/chp-client.ts: NUMBER', 'the simulator reads and breaks numbers'],
  ['src/wire/chp-client.ts: readNumber', 'the simulator reads and breaks numbers'],
  ['src/sdk/option-tables.ts: JOB_OPTIONS', 'scripts/reference.mjs'],
  ['src/testing/test-broker.ts: TEST_BROKER_OPTIONS', 'scripts/reference.mjs'],
  ['src/core/shapes.ts: shown', 'documents are compared with it'],
  ['src/wire/worker-side.ts: workerPartial', 'the scripts write it; the SDK packs its head'],
  ['src/zmtp/sockets/listener.ts: refuseEarly', 'tests hand it handles of other versions of Node'],
  ['src/zmtp/curve/layout.ts: layout.COOKIE_BYTES', 'the layout is imported whole'],
  ['src/zmtp/curve/layout.ts: layout.VOUCH_BYTES', 'the layout is imported whole'],
]);

export default function withoutKept(data) {
  const { exports } = data.issues;
  const unmet = new Set(KEPT.keys());
  for (const [file, names] of Object.entries(exports)) {
    for (const name of Object.keys(names)) {
      if (!unmet.delete(`${file}: ${name}`)) continue;
      delete names[name];
      data.counters.exports--;
    }
  }
  if (data.isProduction && unmet.size > 0) {
    throw new Error(`used now or gone; delete the entry: ${[...unmet].join(', ')}`);
  }
  if (data.counters.exports + data.counters.types > 0) {
    console.error(
      'A dead export: delete it, or drop `export` if its own file needs it. What only tests may use goes into ' +
        'scripts/kept-exports.mjs, with its reason.',
    );
  }
  return data;
}
