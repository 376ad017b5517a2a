/**
 * The lock of a surface: a file of docs/surface/ has the lines of the last release, and what has changed since. A line
 * begins with `+` if it is new, and with `-` if it is gone; a release (`--freeze`) takes both away.
 */
import { createHash } from 'node:crypto';

const HEAD = /^# ([^\n]*), since (\S+) \(([0-9a-f]*)\)\n/;
const digestOf = (lines) =>
  createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
const sorted = (lines) => [...new Set(lines)].sort();

/** @returns the version whose lines are locked, and these */
export function readLock(text) {
  const [head, , version = '', digest = ''] = HEAD.exec(text) ?? [''];
  const all = text.slice(head.length).split('\n').filter(Boolean);
  const locked = sorted(
    all.filter((line) => !line.startsWith('+ ')).map((line) => line.replace(/^- /, '')),
  );
  return { version, locked, isWhole: digest === digestOf(locked) };
}

/** The file of a surface. */
export function lockText(title, { version, locked }, lines) {
  const present = new Set(lines);
  const released = new Set(locked);
  const marked = sorted([...lines, ...locked]).map((line) => {
    if (!present.has(line)) return `- ${line}`;
    return released.has(line) ? line : `+ ${line}`;
  });
  return `# ${title}, since ${version} (${digestOf(sorted(locked))})\n${marked.join('\n')}\n`;
}

/** What a line is about: the changelog names it. */
export const nameOf = (line) => line.replace(/\??: .*/, '');

/** The names in the sections `Removed` and `Changed` of the versions after the one that is locked, if that has a section. */
export function namedIn(changelog, version) {
  const [after, released] = changelog.split(`\n## [${version}]`);
  if (released === undefined) return new Set();
  const sections = after
    .split(/\n(?=#{2,3} )/)
    .filter((each) => /^### (Removed|Changed)\n/.test(each));
  return new Set(sections.flatMap((each) => each.match(/(?<=`)[^`\n]+(?=`)/g) ?? []));
}

/**
 * The lines that were released, are gone or say something else now, and are named neither themselves nor by what they
 * belonged to, if that is gone, too.
 */
export function unnamed(locked, lines, named) {
  const present = new Set(lines);
  const isGone = (name) => !lines.some((line) => belongs(nameOf(line), name));
  return locked.filter((line) => {
    if (present.has(line)) return false;
    const name = nameOf(line);
    return ![...named].some((each) => each === name || (belongs(name, each) && isGone(each)));
  });
}

const belongs = (name, to) =>
  name === to || (name.startsWith(to) && /^[ .[{]/.test(name.slice(to.length)));
