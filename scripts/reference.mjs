/**
 * Writes docs/reference/, the reference of the SDK, from the docstrings of what each entry of
 * packages/sdk/package.json exports: one page for each entry. With --check it writes nothing, and exits
 * with 1 if the pages are not what the docstrings make. Both exit with 1 if a docstring is missing, or
 * lacks its unit or its example (see `faultsOf`).
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { Application, ReflectionKind } from 'typedoc';

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
  plugin: ['typedoc-plugin-markdown'],
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
  groupOrder: ['Functions', 'Constructors', 'Classes', 'Methods', 'Accessors', 'Properties', '*'],
  router: 'module',
  entryFileName: 'README',
  hideBreadcrumbs: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  expandParameters: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  classPropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  tableColumnSettings: {
    hideDefaults: true,
    hideInherited: true,
    hideModifiers: true,
    hideOverrides: true,
  },
  pageTitleTemplates: { module: ({ name }) => titleOf(name) },
  logLevel: 'Warn',
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

/** Examples that are indented, as in the sources, become fenced, which shows them in colours. */
function fenced(text) {
  return text.replace(/(?<=\n\n)(?: {4}[^\n]*\n|\n(?= {4}))+/g, (block) => {
    const code = block.replace(/^ {4}/gm, '').trimEnd();
    return `\`\`\`ts\n${code}\n\`\`\`\n\n`;
  });
}

/** A table of parameters that only repeats the types in the signature above it. */
const BARE_TABLE = /^#+ (Type )?Parameters\n\n(?![^\n]* Description )(\|[^\n]*\n)+\n?/gm;

/** A page without what repeats its signatures, or is only for a site of many pages. */
function tidied(text) {
  const used = new Set(Array.from(text.matchAll(/\]\(#([^)]+)\)/g), ([, anchor]) => anchor));
  return fenced(text)
    .replace(/<a id="([^"]+)"><\/a> ?/g, (tag, anchor) => (used.has(anchor) ? tag : ''))
    .replace(/^#+ (Overrides|Inherited from)\n\n[^\n]+\n\n?/gm, '')
    .replace(/^#+ Returns\n\n[^\n]+\n\n?/gm, '')
    .replace(BARE_TABLE, '')
    .replace(/^#+ (Get Signature|Constructor|Call Signature|Example)\n\n/gm, '')
    .replace(/^#+ (Parameters|Type Parameters|Properties)\n\n(?=\|)/gm, '')
    .replace(/^#+ (Throws|Extends|Extended by)\n\n/gm, '**$1** ')
    .replace(/^\*\*(Extends|Extended by)\*\* ((?:- [^\n]*\n)+)/gm, (_, what, list) => {
      return `**${what}** ${list.trim().replace(/^- /gm, '').replaceAll('\n', ', ')}\n`;
    })
    .replace(/^\*\*\*\n\n/gm, '')
    .replace(/ - \|$/gm, ' |');
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
  const app = await Application.bootstrapWithPlugins(OPTIONS);
  const project = await app.convert();
  if (project === undefined) throw new Error('typedoc could not read the sources');
  for (const [index, name] of ENTRIES.entries()) project.children[index].name = name;
  app.validate(project);
  const faults = project.children.flatMap(({ children }) => children.flatMap(faultsOf));
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-reference-'));
  try {
    app.options.setValue('out', folder);
    await app.generateOutputs(project);
    const config = await resolveConfig(join(TARGET, 'README.md'));
    const made = new Map();
    for (const name of readdirSync(folder).sort()) {
      const text = readFileSync(join(folder, name), 'utf8');
      const page = name === 'README.md' ? index(project) : tidied(text);
      made.set(name, await format(page, { ...config, parser: 'markdown' }));
    }
    return { made, faults, warnings: app.logger.warningCount };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const { made, faults, warnings } = await pages();
const isCheck = process.argv.includes('--check');
if (isCheck) {
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
