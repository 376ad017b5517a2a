/**
 * The rooms of src/ and what each may import: .dependency-cruiser.cjs makes its rules from these tables.
 * docs/ARCHITECTURE.md says what each room is for.
 *
 * A row stands for the files of its folder, but for those that have a row of their own. It may import itself and what
 * it lists: rooms, files, `type:ROOM` (`import type`) and `late:ROOM` (`await import(…)` or types). In a row of
 * `extensions/*`, other rows of `extensions/*` are of the same extension.
 */
const SOCKETS = 'zmtp zmtp/connection zmtp/curve';
const BROKER = 'broker broker/broker.ts broker/listing.ts broker/io';
const STORES = 'store/sqlite store/thread';
const SERVED = `wire ${SOCKETS} ${BROKER} mmi titanic/machine titanic/operator store bstar bstar/io bstar/replication stream stream/io`;
const KERNEL = `core ${SERVED} config config/io admin admin/io node`;

const only = (how, rooms) => rooms.replace(/\S+/g, `${how}:$&`);

const SHELL = 'It is a shell: pass the other thing in; the node composes the shells.';
const NO_SOCKETS =
  'It knows bytes and frames, no sockets: return what is to be written, and let zmtp/sockets write it.';
const BEHIND_PORT =
  'It carries out the ports of store: put what a machine needs into the port (store/store.ts, store/ranked.ts).';
const ASK =
  'Put what it must ask of the broker into broker/ports.ts and `import type` it; the node plugs the two together.';

/** Room → what it may import, and what to do instead of another import. */
const ROOMS = {
  'main.ts': [
    'cli core/exit.ts core/version.ts extensions/cli-commands.ts',
    'It checks the version of Node.js and hands the program to cli/: put the code there.',
  ],
  core: [
    '',
    'It knows nothing of this project: move what needs another room into that room, or pass it in as an argument.',
  ],
  wire: ['core', 'It turns frames into values: return a value and let the caller act on it.'],
  zmtp: [
    `core ${SOCKETS}`,
    'It carries frames and does not read them: report by a TransportEvents call; parsing belongs to wire.',
  ],
  'zmtp/connection': ['core zmtp/curve', NO_SOCKETS],
  'zmtp/curve': ['core zmtp/connection zmtp/installed.ts', NO_SOCKETS],
  broker: [
    'core wire',
    'What all folders of broker/ share (options, ports, sink, counters …) imports none of them: move the type here, or the code into a folder. What others offer is an interface in broker/ports.ts; the node plugs it in.',
  ],
  'broker/broker.ts': [
    'core wire broker broker/listing.ts broker/gauges.ts broker/state broker/admission broker/lifecycle broker/inputs',
    'It composes the machine: describe what it needs of others in broker/ports.ts; the node plugs it in.',
  ],
  'broker/listing.ts': [
    'core wire broker broker/gauges.ts type:broker/state',
    'It shows the state: pass in what it needs as an argument.',
  ],
  'broker/gauges.ts': [
    'core broker type:broker/state',
    'It counts the state: pass in what it needs as an argument.',
  ],
  'broker/state': [
    'core wire broker/dialects.ts broker/options.ts broker/ports.ts broker/quotas.ts broker/request-trace.ts broker/rights.ts',
    'It holds data, decides and sends nothing: move the decision to admission or lifecycle, which read the state, return what is due, and let lifecycle call the sink.',
  ],
  'broker/admission': [
    'core wire broker broker/state',
    'It decides, and sends clients nothing; its only effect is a vote: return the refusal, and let the caller in inputs or lifecycle send it.',
  ],
  'broker/lifecycle': [
    'core wire broker broker/state broker/admission',
    'It does not know where a call came from: pass in what it needs as an argument from inputs.',
  ],
  'broker/inputs': [
    'core wire broker broker/state broker/admission broker/lifecycle',
    'broker.ts calls it, and it does not know it: pass in what the class needs as an argument of its constructor.',
  ],
  'broker/io': [`core wire broker broker/broker.ts ${SOCKETS}`, SHELL],
  mmi: ['core wire type:broker/ports.ts', ASK],
  'titanic/machine': [
    'core wire store type:broker/ports.ts',
    'It commits through the port of the store and does not know who lists or retries requests: offer what operators need in machine/operator-host.ts; what it asks of the broker is in broker/ports.ts, by `import type`.',
  ],
  'titanic/operator': ['core wire store titanic/machine type:broker/ports.ts', ASK],
  store: [
    'core wire',
    'It has the ports, the fields and the formats of what is stored: what a change means to clients belongs to titanic and extensions, which import store.',
  ],
  'store/sqlite': ['core wire store store/thread', BEHIND_PORT],
  'store/thread': ['core wire store store/sqlite', BEHIND_PORT],
  bstar: [
    'core wire',
    'It decides which node serves: what it asks of bstar/replication is in bstar/ports.ts; the node plugs the two together.',
  ],
  'bstar/io': [`core wire bstar bstar/replication ${SOCKETS}`, SHELL],
  'bstar/replication': [
    'core wire store bstar/facts.ts type:bstar type:titanic/machine type:titanic/operator',
    'Which node serves belongs to bstar, what a change does to store: `import type`, or move the code there.',
  ],
  stream: [
    'core wire',
    'It copies messages to subscribers: what is published, and who may subscribe, is told to it by an extension or the SDK.',
  ],
  'stream/io': [`core wire stream ${SOCKETS}`, SHELL],
  config: [
    `core ${only('type', KERNEL)}`,
    'Use `import type`, or move the value to core; reading files and environment belongs to config/io.',
  ],
  'config/io': [`core wire config ${SOCKETS}`, SHELL],
  admin: [
    `core store/request.ts store/record-kind.ts store/attempt.ts wire/job-option-table.ts wire/mmi-answers.ts ${only('type', KERNEL)}`,
    'It has the tables of the fields of stored requests and of answers, and types of the others: use `import type` and let the node hand the object in.',
  ],
  'admin/io': [`core wire admin ${SOCKETS}`, SHELL],
  page: [
    'core/schema-rows.ts core/run-limits.ts core/service-needs.ts core/fair-history.ts type:admin/api/words.ts type:admin/api/node-answers.ts type:admin/api/stored-answers.ts',
    'Browsers are given these files and no others: `import type` what admin/api says of answers, or ask the API.',
  ],
  node: [
    `${KERNEL} ${STORES}`,
    'main.ts hands extensions to the command line, and that hands them to the node: describe what is needed of one in node/extension.ts.',
  ],
  extensions: [
    'extensions/* extensions/*/machine extensions/*/cli type:cli type:node',
    'It lists the extensions: put the code into one.',
  ],
  'extensions/*': [
    `${KERNEL} ${STORES} extensions/*/machine extensions/*/cli`,
    'It has its own folder, and of the node what it is attached to: pass the other extension in as an interface.',
  ],
  'extensions/*/machine': [
    'core wire store type:broker/ports.ts',
    'It knows no sockets, NATS or SQL: emit an effect on its sink; use `import type` for broker/ports.ts.',
  ],
  'extensions/*/cli': [
    'core config config/io sdk store/record-kind.ts cli extensions/* extensions/*/machine',
    'Ask the broker through the SDK or HTTP instead.',
  ],
  sdk: [
    `core wire stream stream/io ${SOCKETS}`,
    'A user who imports it must load nothing of the daemon: move what both need to core or wire.',
  ],
  testing: [
    `core ${SERVED} node sdk`,
    'A test broker loads no native module: use the memory store and the zmtp transport.',
  ],
  cli: [
    `core config config/io sdk store/database-tools.ts store/record-kind.ts type:admin/api/operation.ts late:admin/api/answer-check.ts ${only('late', `node ${SOCKETS} ${STORES}`)}`,
    'A command loads node, the engine of the store and zmtp only when it runs (`await import(…)` inside its action), so that others start fast; extensions are handed to it (cli/program.ts). Ask the daemon through the SDK or HTTP instead.',
  ],
};

/** Rooms whose files touch no socket, disk, timer or thread. */
const MACHINES = Object.keys(ROOMS).filter(
  (room) =>
    /^(core|wire|broker|mmi|titanic|bstar|store|stream)\b(?!.*\/(io|sqlite|thread)$)/.test(room) ||
    /\/(machine|connection|curve)$/.test(room),
);
/** Machines that get time and randomness as arguments, so that a seed replays them. */
const REPLAYED = MACHINES.filter((room) => !room.startsWith('zmtp/'));

const PAGE_ONLY = ['page', 'It is bundled for browsers, and not installed: only the page has it.'];
const LOGGER = ['admin admin/io node', 'Report an event; admin makes a log line of it.'];

/** Package → where it may be imported, and what to do elsewhere. */
const PACKAGES = {
  '@preact/signals': PAGE_ONLY,
  preact: PAGE_ONLY,
  uplot: PAGE_ONLY,
  zeromq: ['extensions/libzmq zmtp/libzmq', 'Use the port (zmtp/port.ts).'],
  'better-sqlite3': [
    'store/sqlite node/io/data-dir.ts cli/serve/native.ts',
    'SQLite is a native library; the node has it for its lock, a command to see that it loads: put what you need into the port of the store.',
  ],
  pg: ['extensions/postgres', 'Put what you need into the port of the store.'],
  'libsodium-wrappers-sumo': [
    'zmtp/curve/sodium.ts',
    'Use CurveCrypto (zmtp/curve/crypto.ts), and load it only where CURVE is asked for.',
  ],
  pino: LOGGER,
  'pino-pretty': LOGGER,
  'prom-client': ['admin admin/io node', 'Report an event; admin counts it.'],
  '@opentelemetry/api': ['sdk/otel.ts', 'Only majordomo-sdk/otel traces: others get interceptors.'],
  zod: [
    'config config/io admin admin/io core/schema-words.ts wire/mmi-answers.ts',
    'It is for the schema of the configuration, and those of answers: import the type that is made from it.',
  ],
  yaml: ['config/io', 'Let config/io hand over the value.'],
  commander: ['cli extensions/*/cli', 'Take what you need as an option of a function.'],
  '@cfworker/json-schema': [
    'cli/requests/contract-check.ts',
    'Only majordomo request checks bodies against schemas of strangers, with a limit of the time.',
  ],
  'json-p3': ['cli/common/json-path.ts', 'Only -o jsonpath reads JSONPath.'],
};

module.exports = { ROOMS, MACHINES, REPLAYED, PACKAGES, PAGE_ONLY };
