import ts from 'typescript';

import { EventLog } from '../../../src/admin/log/event-log.js';
import type { Log } from '../../../src/admin/log/log.js';
import { Throttle } from '../../../src/admin/log/throttle.js';
import { extensions } from '../../../src/extensions/list.js';
import { linesOf } from '../../../src/node/node.js';
import { literalsOf, literals, membersOf, sourceFile, sourceFiles, walk } from './declared.js';
import { page, rowsBelow, words } from './page.js';

const PAGE = page('logs.md');
const SOURCES = sourceFiles('src');
const LINES = linesOf(extensions());

interface Row {
  readonly level: string;
  readonly fields: readonly string[];
}

type Rows = Map<string, Row>;

function documented(heading: string): Rows {
  return new Map(
    rowsBelow(PAGE, heading).map(([event, level = '', fields]) => [
      words(event)[0] ?? '',
      { level, fields: words(fields).sort() },
    ]),
  );
}

/** The members of a union of events: name → its other fields, and their types. */
function eventsOf(path: string, union: string): Map<string, Map<string, ts.TypeNode>> {
  const events = new Map<string, Map<string, ts.TypeNode>>();
  const file = sourceFile(path);
  const within: ts.Node[] = [];
  walk(file, (node) => {
    const declares = ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node);
    if (declares && node.name.text === union) within.push(node);
  });
  for (const alias of within) {
    walk(alias, (node) => {
      if (!ts.isTypeLiteralNode(node) && !ts.isInterfaceDeclaration(node)) return;
      const members = membersOf(node);
      const name = members.get('name');
      members.delete('name');
      const [event] = name === undefined ? [] : literalsOf(SOURCES, name);
      if (event !== undefined) events.set(event, members);
    });
  }
  return events;
}

/** The lines that no machine speaks of: every `{ event: '…' }` that is given to a log. */
function processEvents(): Rows {
  const events: Rows = new Map();
  for (const file of SOURCES) {
    walk(file, (node) => {
      if (!ts.isObjectLiteralExpression(node)) return;
      const names = node.properties.map((each) => each.name?.getText() ?? '');
      const event = node.properties[names.indexOf('event')];
      if (event === undefined || !ts.isPropertyAssignment(event)) return;
      if (!ts.isStringLiteral(event.initializer)) return;
      events.set(event.initializer.text, {
        level: levelGiven(file, node),
        fields: names.filter((name) => name !== 'event').sort(),
      });
    });
  }
  return events;
}

/** The method of the log that the fields are given to, at once or by the name of a variable. */
function levelGiven(file: ts.SourceFile, fields: ts.ObjectLiteralExpression): string {
  const holder = ts.isVariableDeclaration(fields.parent) ? fields.parent.name.getText() : null;
  let level = '(none)';
  walk(file, (node) => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
    const [first] = node.arguments;
    const isIt = first === fields || (holder !== null && first?.getText() === holder);
    if (isIt && /log$/i.test(node.expression.expression.getText())) {
      level = node.expression.name.text;
    }
  });
  return level;
}

/** The levels at which the log writes an event, over all values of its `reason`. */
function levelsOf(name: string, members: ReadonlyMap<string, ts.TypeNode>): string {
  const reason = members.get('reason');
  const reasons = reason === undefined ? [] : literalsOf(SOURCES, reason);
  const levels = new Set<string>();
  for (const value of reasons.length > 0 ? reasons : ['text']) {
    const note = (level: string) => () => {
      levels.add(level);
    };
    const log: Log = {
      debug: note('debug'),
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
      fatal: note('fatal'),
      setLevel: () => undefined,
      close: () => Promise.resolve(),
      flush: () => undefined,
    };
    const throttle = new Throttle(() => 0);
    const fields = Object.fromEntries(Array.from(members.keys(), (field) => [field, value]));
    const event = { ...fields, name };
    new EventLog(log, throttle, LINES).emit(event);
    throttle.flush();
  }
  return [...levels].sort().join(' or ');
}

/** The kinds with which the transports reject connections. */
function rejectionKinds(): string[] {
  const kinds = new Set([...literals(SOURCES, 'FaultKind'), ...literals(SOURCES, 'RefusalKind')]);
  // Where the kind stands among their arguments.
  const places = new Map([
    ['#reject', 0],
    ['rejected', 1],
    ['#turnAway', 1],
  ]);
  for (const file of SOURCES.filter(({ fileName }) => /\/(zmtp|libzmq)\//.test(fileName))) {
    walk(file, (node) => {
      if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
      const kind = node.arguments[places.get(node.expression.name.text) ?? -1];
      if (kind !== undefined && ts.isStringLiteral(kind)) kinds.add(kind.text);
    });
  }
  return [...kinds].sort();
}

describe('docs/logs.md', () => {
  it('has the events of the process with their levels and fields, and no others', () => {
    const told = processEvents();
    expect(told.size).toBeGreaterThan(0);
    expect(documented('## Events of the process')).toEqual(told);
  });

  it.each([
    ['the broker', 'src/broker/events.ts', 'BrokerEvent'],
    ['operators', 'src/admin/events.ts', 'AdminEvent'],
    ['durable requests', 'src/titanic/machine/events.ts', 'TitanicEvent'],
    ['the pair', 'src/bstar/events.ts', 'PairEvent'],
    ['the stream', 'src/stream/events.ts', 'StreamEvent'],
    ['the map', 'src/extensions/map/machine/events.ts', 'MapEvent'],
  ])('has the events of %s with their levels and fields, and no others', (of, path, union) => {
    const told: Rows = new Map();
    for (const [name, members] of eventsOf(path, union)) {
      told.set(name, { level: levelsOf(name, members), fields: [...members.keys()].sort() });
    }
    expect(told.size).toBeGreaterThan(0);
    expect(documented(`## Events of ${of}`)).toEqual(told);
  });

  it('has the events of programs with their levels and fields, and no others', () => {
    const told: Rows = new Map();
    for (const [name, members] of eventsOf('src/extensions/programs/lines.ts', 'ProgramsEvent')) {
      told.set(name, { level: levelsOf(name, members), fields: [...members.keys()].sort() });
    }
    expect(told.size).toBeGreaterThan(0);
    expect(documented('## Events of programs')).toEqual(told);
  });

  it('has the steps of requests with their fields, and no others', () => {
    const steps = [
      { of: eventsOf('src/broker/request-trace.ts', 'RequestStep'), id: 'request' },
      { of: eventsOf('src/titanic/machine/events.ts', 'TitanicStep'), id: 'uuid' },
    ];
    const told = new Map(
      steps.flatMap(({ of, id }) =>
        Array.from(of, ([name, members]) => [name, [id, ...members.keys()].sort()] as const),
      ),
    );
    const rows = rowsBelow(PAGE, '## Following a request');
    const described = rows.map(
      ([event, fields]) => [words(event)[0] ?? '', words(fields).sort()] as const,
    );
    expect(new Map(described)).toEqual(told);
  });

  it('has every reason and kind that is one of a few, and no others', () => {
    const told = new Map([['connection.rejected kind', rejectionKinds()]]);
    const events = [
      ...eventsOf('src/broker/events.ts', 'BrokerEvent'),
      ...eventsOf('src/titanic/machine/events.ts', 'TitanicEvent'),
      ...eventsOf('src/stream/events.ts', 'StreamEvent'),
      ...eventsOf('src/extensions/map/machine/events.ts', 'MapEvent'),
      ...eventsOf('src/extensions/fleet/machine/events.ts', 'FleetEvent'),
    ];
    for (const [name, members] of events) {
      for (const [field, type] of members) {
        const values = literalsOf(SOURCES, type);
        if (values.length > 0) told.set(`${name} ${field}`, values.sort());
      }
    }
    const rows = rowsBelow(PAGE, '## Reasons and kinds').map(
      ([of = '', values]): [string, string[]] => [of.replaceAll('`', ''), words(values).sort()],
    );
    expect(new Map(rows)).toEqual(told);
  });
});
