/**
 * Writes docs/reference/, the reference of the SDK, from the docstrings of what each entry of
 * packages/sdk/package.json exports: one page for each entry. With --check it writes nothing, and exits
 * with 1 if the pages are not what the docstrings make. Both exit with 1 if a docstring is missing, or
 * lacks its unit or its example (see `faultsOf`); --check also if too many doc comments of any room have no subject.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { format, resolveConfig } from 'prettier';
import { Application, ReflectionKind, ReflectionType, UnionType } from 'typedoc';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = join(ROOT, 'docs/reference');

const { exports } = JSON.parse(readFileSync(join(ROOT, 'packages/sdk/package.json'), 'utf8'));
/** `.` exports what client, worker and stream do, and the map, which is no entry and has a page. */
const ENTRIES = [
  ...Object.keys(exports)
    .filter((path) => path !== '.' && path !== './package.json')
    .map((path) => path.slice(2)),
  'map',
];
const sourceOf = (name) => (name === 'testing' ? 'src/testing/testing.ts' : `src/sdk/${name}.ts`);

/** Declared elsewhere than they are exported, or types that only the compiler needs. */
const NOT_EXPORTED = [
  'src/core/errors.ts:MajordomoError',
  'DetailsOf',
  'FactOf',
  'Frames',
  'IsOpen',
  'Words',
  'ServiceCodec',
  'TypesOfSchemas',
  'TypesOfShapes',
  'Uninferred',
];

const OPTIONS = {
  entryPoints: ENTRIES.map((name) => join(ROOT, sourceOf(name))),
  tsconfig: join(ROOT, 'tsconfig.json'),
  // `npm run check:types` finds errors.
  skipErrorChecking: true,
  name: 'Reference of the SDK',
  readme: 'none',
  disableSources: true,
  disableGit: true,
  excludeExternals: true,
  excludeInternal: true,
  sortEntryPoints: false,
  intentionallyNotExported: NOT_EXPORTED,
  logLevel: 'Warn',
};

/** Types as TypeScript writes them: typedoc says `Object` for one without a name. */
ReflectionType.prototype.getTypeString = function () {
  const { children = [], signatures = [] } = this.declaration;
  const [call] = signatures;
  if (call !== undefined) return `(${signatureOf(call, '').replace(/: (?=[^:]*$)/, ' => ')})`;
  const all = children.map(({ name, flags, type }) => {
    return `${name}${flags.isOptional ? '?' : ''}: ${String(type)}`;
  });
  return all.length === 0 ? 'object' : `{ ${all.join('; ')} }`;
};
/** All codes of errors are in errors.md. */
const unionString = UnionType.prototype.getTypeString;
UnionType.prototype.getTypeString = function (...context) {
  return this.types.length > 8 ? 'MajordomoError' : unionString.apply(this, context);
};

function titleOf(name) {
  return name === 'map' ? 'majordomo-sdk' : `majordomo-sdk/${name}`;
}

const INTRODUCTION = `# Reference of the SDK

Everything that the package \`majordomo-sdk\` exports, from the docstrings of its sources (\`npm run docs\` writes these
pages). How it works together is in [sdk.md](../sdk.md), and the codes of all errors are in [errors.md](../errors.md#sdk).
\`majordomo-sdk\` itself exports what \`majordomo-sdk/client\`, \`majordomo-sdk/worker\` and \`majordomo-sdk/stream\` do, and the [map](map.md).

`;

/** Kinds whose docstring shows how they are used. */
const WITH_EXAMPLE = ReflectionKind.Class | ReflectionKind.Function;
/** Interfaces of which a program writes objects or listeners. */
const WRITTEN = /(Options|(Client|Worker|SharedMap)Events)$/;
const UNITS = [
  [/Ms$/, /milliseconds/],
  [/Bytes$/, /bytes|MiB/],
];

const textOf = (comment) =>
  [
    ...(comment?.summary ?? []),
    ...(comment?.blockTags ?? []).flatMap(({ tag, content }) => [
      { text: `\n${tag}\n` },
      ...content,
    ]),
  ]
    .map(({ text }) => text)
    .join('');

/** The docstrings of a declaration: its own, and those of its signatures. */
function docstringsOf(reflection) {
  const { comment, signatures = [], getSignature } = reflection;
  return [comment, ...signatures.map((each) => each.comment), getSignature?.comment]
    .map(textOf)
    .filter((text) => text.trim() !== '');
}

/** What is missing in the docstrings of one export and its members. */
function faultsOf(reflection) {
  // The page where it is declared has it.
  if (reflection.kindOf(ReflectionKind.Reference)) return [];
  const path = reflection.getFullName();
  const faults = [];
  const said = docstringsOf(reflection).join('\n');
  const isPlainConstructor = reflection.kind === ReflectionKind.Constructor;
  if (said === '' && !isPlainConstructor) faults.push(`${path} has no docstring`);
  const shows = reflection.kindOf(WITH_EXAMPLE) || WRITTEN.test(reflection.name);
  const isExport = reflection.parent?.kindOf(ReflectionKind.Module) === true;
  if (isExport && shows && !/^ {4}\S|@example/m.test(said)) faults.push(`${path} has no example`);
  for (const [name, unit] of UNITS) {
    if (!name.test(reflection.name) || !reflection.kindOf(ReflectionKind.Property)) continue;
    if (!unit.test(said) && !unit.test(textOf(reflection.parent.comment))) {
      faults.push(`${path} does not say its unit`);
    }
  }
  const members = reflection.children ?? [];
  return [...faults, ...members.filter(isOwn).flatMap(faultsOf)];
}

/** Members that a base of another package declares have its docstrings. */
function isOwn(member) {
  return !member.flags.isInherited && !member.flags.isExternal;
}

const WIDTH = 120;

/** A paragraph in lines; what is in backticks stays in one. */
function wrapped(text) {
  const lines = [''];
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g) ?? []) {
    const line = lines.at(-1);
    if (line !== '' && line.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

/** Paragraphs and examples of a docstring. Examples are indented in the sources, and become fenced. */
function blocksOf(text) {
  const blocks = [];
  for (const part of text.split(/\n{2,}/).filter((each) => each.trim() !== '')) {
    const last = blocks.at(-1);
    const isCode = part.startsWith('    ');
    const body = isCode ? part.replace(/^ {4}/gm, '') : part;
    if (isCode && last?.isCode === true) last.body += `\n\n${body}`;
    else blocks.push({ isCode, body });
  }
  return blocks.map(({ isCode, body }) => (isCode ? `\`\`\`ts\n${body}\n\`\`\`` : wrapped(body)));
}

/** An item of a list: its title, its text as one paragraph up to each example, and its examples. */
function item(title, text) {
  const joined = text.replace(/(^|\n)(?! {4})([^\n]*)\n\n(?! {4}|$)/g, '$1$2 ');
  const [first = '', ...rest] = blocksOf(joined);
  const head = first.startsWith('```')
    ? `**${title}**\n${first}`
    : wrapped(`**${title}** ${first}`);
  return `- ${[head, ...rest].join('\n').replaceAll('\n', '\n  ')}`;
}

/** A docstring without its `@example` tags, whose text is an example already, and with its errors last. */
function said(comment) {
  if (comment === undefined) return '';
  const parts = (content) => content.map(({ text }) => text).join('');
  const tags = comment.blockTags
    .filter(({ tag }) => tag !== '@typeParam')
    .map(({ tag, content }) => {
      const text = parts(content).trim();
      if (tag === '@throws') return `Throws ${text.replace(/\.?$/, '.')}`;
      return tag === '@returns' ? `Returns ${text.replace(/\.?$/, '.')}` : text;
    });
  return [parts(comment.summary), ...tags].join('\n\n');
}

/** A docstring as one cell, or as one item of a list. */
const cell = (comment) =>
  said(comment)
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll('|', '\\|')
    .trim();

const code = (text) => `\`${text.replace(/\s+/g, ' ')}\``;
const genericsOf = ({ typeParameters }) =>
  typeParameters === undefined ? '' : `<${typeParameters.map(({ name }) => name).join(', ')}>`;

function signatureOf(signature, name) {
  const parameters = (signature.parameters ?? []).map((each) => {
    const mark = each.flags.isOptional || each.defaultValue !== undefined ? '?' : '';
    return `${each.flags.isRest ? '...' : ''}${each.name}${mark}: ${String(each.type)}`;
  });
  return `${name}${genericsOf(signature)}(${parameters.join(', ')}): ${String(signature.type)}`;
}

/** What a docstring says of single parameters. */
function parametersOf({ parameters = [], typeParameters = [] }) {
  const told = [...typeParameters, ...parameters].filter(({ comment }) => cell(comment) !== '');
  const list = told.map(({ name, comment }) => `\`${name}\`: ${cell(comment)}`).join('; ');
  return list === '' ? '' : `\n\n${list}.`.replace(/\.\.$/, '.');
}

/** Makes an item for each way to call a method, an accessor or a constructor. */
function itemsOf(member) {
  const calls = member.getSignature === undefined ? member.signatures : [member.getSignature];
  let before;
  return (calls ?? []).map((each) => {
    const isAccessor = member.getSignature !== undefined;
    const name = isAccessor ? `${member.name}: ${String(each.type)}` : signatureOf(each, each.name);
    const isConstructor = member.kind === ReflectionKind.Constructor;
    const title = code(isConstructor ? `new ${name.replace(/<[^(]*>\(/, '(')}` : name);
    const text = said(each.comment) + parametersOf(each);
    // Another form of the one before.
    const isSame = text === before;
    before = text;
    return item(title, isSame ? '' : text);
  });
}

/** The tables of options, from their source: the reference is also checked where nothing was built. */
const { outputFiles } = await build({
  stdin: {
    contents: ['sdk/option-tables', 'testing/test-broker']
      .map((path) => `export * from './src/${path}.ts';`)
      .join(''),
    resolveDir: ROOT,
  },
  bundle: true,
  format: 'esm',
  platform: 'node',
  write: false,
});
const OPTION_TABLES = await import(
  `data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`
);

/** The range of an option that is a number, which stands in its table and not in its docstring. */
function rangeOf(interfaceName, option, isNumber) {
  const table = interfaceName.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  const row = OPTION_TABLES[table]?.[option];
  if (row === undefined && isNumber && table.endsWith('_OPTIONS')) {
    throw new Error(`${interfaceName}.${option}: no row in a table ${table}`);
  }
  const [, range] = /^a whole number (from .*)/.exec(row?.what) ?? [];
  return range === undefined ? '' : ` (${range})`;
}

function tableOf(properties) {
  if (properties.length === 0) return [];
  const rows = properties.map((each) => {
    const name = `${each.name}${each.flags.isOptional ? '?' : ''}`;
    const type = String(each.type);
    const title = code(`${name}: ${type}`).replaceAll('|', '\\|');
    const range = rangeOf(each.parent.name, each.name, type.startsWith('number'));
    return `| ${title}${range} | ${cell(each.comment)} |`;
  });
  return [['| property | |', '| --- | --- |', ...rows].join('\n')];
}

/** A class or an interface below a heading. */
function chapter(reflection) {
  const members = (reflection.children ?? []).filter(isOwn);
  const properties = members.filter(({ kind }) => kind === ReflectionKind.Property);
  const items = members.filter((each) => !properties.includes(each)).flatMap(itemsOf);
  const bases = (reflection.extendedTypes ?? []).map((each) => code(String(each)));
  return [
    `### ${reflection.name}`,
    ...blocksOf(said(reflection.comment) + parametersOf(reflection)),
    ...(bases.length === 0 ? [] : [`Extends ${bases.join(', ')}.`]),
    ...(items.length === 0 ? [] : [items.join('\n')]),
    ...tableOf(properties),
  ];
}

/** A type or a constant as one item. */
function entry(reflection) {
  const isType = reflection.kind === ReflectionKind.TypeAlias;
  const name = `${reflection.name}${genericsOf(reflection)}`;
  const title = isType ? `type ${name} = ${String(reflection.type)}` : `const ${name}`;
  return item(code(title), said(reflection.comment));
}

const GROUPS = [
  ['Functions', ReflectionKind.Function],
  ['Classes', ReflectionKind.Class],
  ['Interfaces', ReflectionKind.Interface],
  ['Type Aliases', ReflectionKind.TypeAlias],
  ['Variables', ReflectionKind.Variable],
];

function pageOf({ name, children }) {
  const text = [`# ${titleOf(name)}`];
  const again = children.filter((each) => each.kindOf(ReflectionKind.Reference));
  const homes = Map.groupBy(again, (each) => each.getTargetReflectionDeep().parent.name);
  for (const [home, all] of homes) {
    const names = all.map((each) => `\`${each.name}\``).join(', ');
    text.push(wrapped(`Also exports what [${titleOf(home)}](${home}.md) describes: ${names}.`));
  }
  for (const [title, kind] of GROUPS) {
    const all = children.filter((each) => each.kind === kind);
    if (all.length === 0) continue;
    const isLong = title === 'Classes' || title === 'Interfaces';
    const itemsOfOne = title === 'Functions' ? itemsOf : entry;
    text.push(
      `## ${title}`,
      ...(isLong ? all.flatMap(chapter) : [all.flatMap(itemsOfOne).join('\n')]),
    );
  }
  return text.join('\n\n');
}

/** The index: each entry with its classes and functions. */
function index(project) {
  const lines = project.children.map(({ name, children }) => {
    const main = children.filter((each) => each.kindOf(WITH_EXAMPLE)).map((each) => each.name);
    return `- [\`${titleOf(name)}\`](${name}.md): ${main.map((each) => `\`${each}\``).join(', ')}`;
  });
  return INTRODUCTION + lines.join('\n');
}

async function pages() {
  const app = await Application.bootstrap(OPTIONS);
  const project = await app.convert();
  if (project === undefined) throw new Error('typedoc could not read the sources');
  for (const [index, name] of ENTRIES.entries()) project.children[index].name = name;
  app.validate(project);
  const faults = project.children.flatMap(({ children }) => children.flatMap(faultsOf));
  const config = await resolveConfig(join(TARGET, 'README.md'));
  const made = new Map();
  for (const [name, text] of [
    ['README.md', index(project)],
    ...project.children.map((each) => [`${each.name}.md`, pageOf(each)]),
  ]) {
    made.set(name, await format(text, { ...config, parser: 'markdown' }));
  }
  return { made, faults, warnings: app.logger.warningCount };
}

/** The start of a doc comment, or of a docstring of Python, whose subject stands somewhere else. */
const SUBJECTLESS =
  /(?:\/\*\*\s*(?:\*\s*)?|""")(?:It|Its|One|Of|The same|Those|They|None|That|These|This)\b/g;
const SUBJECTLESS_MAX = 40;
const DOCUMENTED = ['src', 'scripts', 'packages/python/majordomo_client'];

/** @returns `FILE:LINE` of each doc comment that begins with a pronoun */
function subjectless() {
  return DOCUMENTED.flatMap((folder) => {
    const names = readdirSync(join(ROOT, folder), { recursive: true });
    return names.flatMap((name) => {
      if (!/\.(tsx?|[cm]js|py)$/.test(name)) return [];
      const text = readFileSync(join(ROOT, folder, name), 'utf8');
      const lines = Array.from(
        text.matchAll(SUBJECTLESS),
        ({ index }) => text.slice(0, index).split('\n').length,
      );
      return lines.map((line) => `${folder}/${name}:${line}`);
    });
  });
}

const { made, faults, warnings } = await pages();
const isCheck = process.argv.includes('--check');
if (isCheck) {
  const found = subjectless();
  console.log(`${found.length} doc comments begin with a pronoun (at most ${SUBJECTLESS_MAX} may)`);
  if (found.length > SUBJECTLESS_MAX) {
    faults.push(
      ...found,
      'A doc comment is a full phrase whose subject is the thing documented; it makes sense alone in a tooltip.',
    );
  }
  const there = existsSync(TARGET) ? readdirSync(TARGET) : [];
  const differs = [...new Set([...there, ...made.keys()])].filter((name) => {
    return !there.includes(name) || readFileSync(join(TARGET, name), 'utf8') !== made.get(name);
  });
  for (const name of differs) {
    faults.push(`docs/reference/${name} is not what the docstrings make: npm run docs`);
  }
} else {
  rmSync(TARGET, { recursive: true, force: true });
  mkdirSync(TARGET);
  for (const [name, text] of made) {
    writeFileSync(join(TARGET, name), text);
    console.log(`docs/reference/${name}`);
  }
}
for (const fault of faults) {
  console.error(fault);
}
if (faults.length + warnings > 0) process.exitCode = 1;
