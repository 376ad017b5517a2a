// The tables of docs/logs.md, from the tables of events of each machine and of the process.

/** Heading → where its events are: the module, and the names of its tables. */
const SECTIONS = {
  '## Events of the process': [
    'admin/log/process-events.js',
    'PROCESS_EVENTS',
    'AUTHORISER_EVENTS',
  ],
  '## Events of the broker': ['broker/broker-events.js', 'BROKER_EVENTS'],
  '## Events of operators': ['admin/operator-events.js', 'ADMIN_EVENTS'],
  '## Events of durable requests': ['titanic/machine/requests/events.js', 'TITANIC_EVENTS'],
  '## Events of the pair': ['bstar/pair-events.js', 'PAIR_EVENTS'],
  '## Events of the stream': ['stream/stream-events.js', 'STREAM_EVENTS'],
  '## Events of the map': ['extensions/map/machine/map-events.js', 'MAP_EVENTS'],
  '## Events of programs': ['extensions/programs/programs-events.js', 'PROGRAMS_EVENTS'],
  '## Events of the fleet': ['extensions/fleet/machine/fleet-events.js', 'FLEET_EVENTS'],
};
const STEPS = {
  '### Steps of a plain request': ['broker/request-trace.js', 'REQUEST_STEPS'],
  '### Steps of a durable request': ['titanic/machine/requests/events.js', 'TITANIC_STEPS'],
};

/** The tables of all events and steps: of each the module and the name. */
export const EVENT_TABLES = Object.values({ ...SECTIONS, ...STEPS }).flatMap(([path, ...names]) =>
  names.map((name) => [path, name]),
);

const coded = (words) => words.map((word) => `\`${word}\``).join(', ') || '–';

/** The fields of an event; those by which its lines are limited are bold. */
function fieldsOf({ fields, by = [] }) {
  const names = Object.keys(fields).map((name) => {
    const shown = `\`${name}\``;
    return by.includes(name) ? `**${shown}**` : shown;
  });
  return names.join(', ') || '–';
}

/** The fields that have one of a few values, with these. */
function limitedOf(name, { fields, usual = [] }) {
  return Object.entries(fields)
    .filter(([, { words }]) => words !== undefined)
    .map(([field, { words }]) => {
      const values = Object.entries(words).map(([word, meaning]) => {
        const isUsual = field === 'reason' && usual.includes(word);
        const notes = [meaning, isUsual ? 'level info' : ''].filter(Boolean).join('; ');
        return `\`${word}\`${notes === '' ? '' : ` (${notes})`}`;
      });
      return [`\`${name}\` ${field}`, values.join(', ')];
    });
}

/** @param load loads a module of `src` */
export async function logTables(load) {
  const { REJECTIONS, REJECTED, ...shared } = await load('core/event-fields.js');
  const told = (event, { text, when = text.replace(/\{(\w+)\}/g, '`$1`'), fields }) => {
    // Said once: of all events, or of rejected connections.
    const others = event === 'connection.rejected' ? {} : REJECTED;
    const own = Object.entries(fields).filter(
      ([name, { about }]) =>
        about !== '' && about !== shared[name]?.about && about !== others[name]?.about,
    );
    return [when, ...own.map(([name, { about }]) => `\`${name}\`: ${about}`)].join('; ');
  };
  const levels = ({ level, usual }) => (usual === undefined ? level : `info or ${level}`);

  const tables = {
    '## Fields of many events': Object.entries(shared)
      .filter(([, { about }]) => (about ?? '') !== '')
      .map(([name, { about }]) => [`\`${name}\``, about]),
    '## Rejected connections': Object.entries(REJECTIONS).map(([kind, why]) => [
      `\`${kind}\``,
      why,
    ]),
  };
  const limited = [];
  for (const [heading, [path, ...names]] of Object.entries(SECTIONS)) {
    const events = Object.entries(Object.assign({}, ...(await all(load, path, names))));
    const isCounted = events.some(([, { counted }]) => counted !== undefined);
    tables[heading] = events.map(([name, event]) => [
      `\`${name}\``,
      levels(event),
      fieldsOf(event),
      ...(isCounted ? [coded(event.counted?.split(' ') ?? [])] : []),
      told(name, event),
    ]);
    for (const [name, event] of events) {
      const { kind, ...fields } = event.fields;
      limited.push(...limitedOf(name, kind === REJECTED.kind ? { fields } : event));
    }
  }
  for (const [heading, [path, ...names]] of Object.entries(STEPS)) {
    const [steps] = await all(load, path, names);
    const id = path.startsWith('broker') ? ['request'] : [];
    tables[heading] = Object.entries(steps).map(([name, step]) => [
      `\`${name}\``,
      coded([...id, ...Object.keys(step.fields)]),
      told(name, step),
    ]);
    for (const [name, step] of Object.entries(steps)) limited.push(...limitedOf(name, step));
  }
  tables['## Reasons and kinds'] = limited;
  return tables;
}

async function all(load, path, names) {
  const module = await load(path);
  return names.map((name) => module[name]);
}
