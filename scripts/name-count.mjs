/**
 * Counts the words that a reader of src/ has to know, by room, and compares them with the ceilings of
 * scripts/name-ceilings.txt: they only go down. `--lower` writes today's numbers into it where they are lower.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

const CEILINGS = 'scripts/name-ceilings.txt';
/** What is counted, in the order of the columns. */
const COUNTED = [
  'types',
  'types per 1,000 lines',
  'seams',
  'members of seams',
  'pass-ons',
  'words',
];
const [TYPES, RATE] = [0, 1];

/** A folder of src/, or of src/extensions/. */
export const roomOf = (path) => /^src\/(extensions\/[^/]+(?=\/)|[^/]+)/.exec(path)[1];

const isNamedType = (node) =>
  ts.isClassDeclaration(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isEnumDeclaration(node);

const isFunction = (member) =>
  ts.isMethodSignature(member) ||
  (ts.isPropertySignature(member) && member.type && ts.isFunctionTypeNode(member.type));

/** An interface of functions only, of which one would be a callback. */
const isSeam = (node) =>
  ts.isInterfaceDeclaration(node) && node.members.length > 1 && node.members.every(isFunction);

/** A method that gives its arguments, as they are, to a method of something that its object has. */
function isPassOn(node) {
  if (!ts.isMethodDeclaration(node) || node.body?.statements.length !== 1) return false;
  const [only] = node.body.statements;
  // A loop and a condition have an expression, too, but do more than to give it the arguments.
  if (!ts.isExpressionStatement(only) && !ts.isReturnStatement(only)) return false;
  let { expression } = only;
  while (expression && ts.isAwaitExpression(expression)) ({ expression } = expression);
  if (!expression || !ts.isCallExpression(expression)) return false;
  const taken = node.parameters.map(
    ({ dotDotDotToken, name }) => (dotDotDotToken ? '...' : '') + name.getText(),
  );
  const given = expression.arguments.map((each) => each.getText());
  return (
    /^this(\.#?\w+[?!]?){2,}$/.test(expression.expression.getText()) &&
    taken.join() === given.join()
  );
}

/** @param files path → text. @returns room → numbers, in the order of `COUNTED` */
export function countNames(files) {
  const rooms = new Map();
  /** Name of a type → the rooms that have one of this name. */
  const named = new Map();
  for (const [path, text] of files) {
    const name = roomOf(path);
    const room = rooms.get(name) ?? { lines: 0, types: 0, seams: 0, members: 0, passOns: 0 };
    rooms.set(name, room);
    room.lines += text.split('\n').length - 1;
    const visit = (node) => {
      if (isNamedType(node) && node.name) {
        room.types++;
        named.set(node.name.text, (named.get(node.name.text) ?? new Set()).add(name));
      }
      if (isSeam(node)) {
        room.seams++;
        room.members += node.members.length;
      } else if (isPassOn(node)) room.passOns++;
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  }
  const words = [...named.values()].filter(({ size }) => size >= 3);
  return new Map(
    [...rooms].sort().map(([name, { lines, types, seams, members, passOns }]) => {
      const rate = Math.ceil((types * 10_000) / Math.max(1, lines)) / 10;
      const many = words.filter((having) => having.has(name)).length;
      return [name, [types, rate, seams, members, passOns, many]];
    }),
  );
}

/** @returns room → its ceilings */
export function readCeilings(text) {
  const rows = text.split('\n').filter((line) => /^[^#\s]/.test(line));
  return new Map(
    rows.map((row) => {
      const [name, ...numbers] = row.split(/\s+/);
      return [name, numbers.map(Number)];
    }),
  );
}

/** The file with the numbers that are lower now, new rooms, and none that are gone. Comments stay where they are. */
export function lowered(text, counts) {
  const ceilings = readCeilings(text);
  const row = (name) => {
    const least = counts.get(name).map((n, at) => Math.min(n, ceilings.get(name)?.[at] ?? n));
    return name.padEnd(20) + least.map((number) => String(number).padStart(8)).join('');
  };
  const kept = text.split('\n').flatMap((line) => {
    const [name] = line.split(/\s+/);
    if (!ceilings.has(name)) return line === '' ? [] : [line];
    return counts.has(name) ? [row(name)] : [];
  });
  const added = [...counts.keys()].filter((name) => !ceilings.has(name)).map(row);
  return `${[...kept, ...added].join('\n')}\n`;
}

/** @returns what is above a ceiling, as sentences. A room that grows may have more types, one that shrinks more per line. */
export function tooMany(counts, ceilings) {
  return [...counts].flatMap(([room, numbers]) => {
    const most = ceilings.get(room);
    if (most === undefined) return [`src/${room} has no row`];
    const mayDiffer = numbers[TYPES] <= most[TYPES] || numbers[RATE] <= most[RATE];
    return numbers.flatMap((number, at) => {
      if (number <= most[at] || (at <= RATE && mayDiffer)) return [];
      return [`src/${room}: ${number} ${COUNTED[at]}, at most ${most[at]}`];
    });
  });
}

function main() {
  const paths = globSync('src/**/*.{ts,tsx}').sort();
  const counts = countNames(paths.map((path) => [path, readFileSync(path, 'utf8')]));
  const text = readFileSync(CEILINGS, 'utf8');
  const least = lowered(text, counts);
  const isLowering = process.argv.includes('--lower');
  if (isLowering) writeFileSync(CEILINGS, least);
  const above = tooMany(counts, readCeilings(isLowering ? least : text));
  process.stdout.write(`(${COUNTED.join(', ')})\n${lowered('', counts)}`);
  if (above.length > 0) {
    process.stderr.write(
      `${above.join('\n')}\nGive a function what it needs as data, or use a word that is there. ` +
        `Or lower another number of the room in ${CEILINGS} and raise this one, or say there why it rises.\n`,
    );
    process.exitCode = 1;
  } else if (least !== text && !isLowering) {
    process.stdout.write(
      `Fewer than the ceilings: write that with \`npm run check:names -- --lower\`.\n`,
    );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
