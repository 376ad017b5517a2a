import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import { extensions } from '../../../src/extensions/list.js';

/** The files in a folder and its folders whose names end so. */
function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name) && !/(?:^|\/)(?:dist|node_modules)\//.test(name))
    .map((name) => join(folder, name));
}

const PAGES = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...['docs', 'deploy', 'examples', 'packages', 'src', 'test'].flatMap((folder) =>
    filesIn(folder, /\.md$/),
  ),
];

function architecture(): string {
  return readFileSync('docs/ARCHITECTURE.md', 'utf8');
}

/** The numbers of the decisions that a text cites. */
function decisions(text: string): string[] {
  return text.match(/\bD[1-9]\d{0,2}\b/g) ?? [];
}

/** Without code, in which nothing is a link or a heading. */
function prose(path: string): string {
  return readFileSync(path, 'utf8')
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()<>]/g, ''));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(path: string): Set<string> {
  const found = new Map<string, number>();
  const all = new Set<string>();
  for (const [, heading = ''] of prose(path).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-');
    const before = found.get(slug) ?? 0;
    found.set(slug, before + 1);
    all.add(before === 0 ? slug : `${slug}-${before}`);
  }
  for (const [, id = ''] of prose(path).matchAll(/<a (?:id|name)="([^"]+)"/g)) all.add(id);
  return all;
}

/** What a page points to with a link, a picture or a reference: `path#anchor`, either may be absent. */
function targets(path: string): string[] {
  const text = prose(path);
  const links = Array.from(text.matchAll(/\]\(([^)\s]+)[^)]*\)/g), ([, to = '']) => to);
  const tags = Array.from(text.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g), ([, to = '']) => to);
  const references = Array.from(text.matchAll(/^\[[^\]]+\]: (\S+)/gm), ([, to = '']) => to);
  return [...links, ...tags, ...references].filter((to) => !/^[a-z]+:/.test(to));
}

/** Why a link leads nowhere; `null`: it does lead there. */
function fault(from: string, to: string): string | null {
  const [path = '', anchor] = decodeURI(to).split('#');
  const target = path === '' ? from : normalize(join(dirname(from), path));
  if (!existsSync(target)) return `${from}: ${to}: no such file`;
  if (anchor === undefined || !target.endsWith('.md')) return null;
  return anchors(target).has(anchor) ? null : `${from}: ${to}: no such heading`;
}

/** The pages that a page links to. */
function linked(from: string): string[] {
  return targets(from)
    .map((to) => normalize(join(dirname(from), decodeURI(to).split('#')[0] ?? '')))
    .filter((target) => target.endsWith('.md') && existsSync(target));
}

/** A page, and all that can be reached from it over links. */
function reachable(from: string): ReadonlySet<string> {
  const seen = new Set([from]);
  for (const path of seen) for (const target of linked(path)) seen.add(target);
  return seen;
}

/** What names a section of a page in words, such as "docs/pair.md, Drills": the text from there on. */
const SECTION = /\b(docs\/[a-z-]+\.md), (?!D\d)(?=[A-Z])([^]{1,120})/g;

describe('the documents', () => {
  it('have the sections that messages, help texts, comments and files of configuration name', () => {
    const files = ['config', 'deploy', 'packages', 'scripts', 'src'].flatMap((folder) =>
      filesIn(folder, /\.(?:c?js|json|mjs|py|sh|tsx?|ya?ml)$/),
    );
    const named = files.flatMap((file) =>
      Array.from(readFileSync(file, 'utf8').matchAll(SECTION), ([, page = '', text = '']) => {
        const rest = text.replace(/\s*\n\s*(?:[#*]|\/\/)?\s*/g, ' ');
        const headings = existsSync(page)
          ? Array.from(prose(page).matchAll(/^#{1,6} (.+)$/gm), ([, heading = '']) => heading)
          : [];
        return headings.some((heading) => rest.startsWith(heading))
          ? null
          : `${file}: ${page}, ${rest}`;
      }),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((each) => each !== null)).toEqual([]);
  });

  it('link only to files and headings that are there', () => {
    const found = PAGES.flatMap((path) => targets(path).map((to) => fault(path, to)));
    expect(found.length).toBeGreaterThan(80);
    expect(found.filter((each) => each !== null)).toEqual([]);
  });

  it('are all found from the index, docs/README.md, and that from README.md', () => {
    const found = reachable('docs/README.md');
    expect(PAGES.filter((path) => !found.has(path) && !/^(packages|test)\//.test(path))).toEqual(
      [],
    );
    expect(linked('README.md')).toContain('docs/README.md');
  });

  it('of docs/ are all in the index itself', () => {
    const index = [...linked('docs/README.md'), 'docs/README.md'];
    expect(PAGES.filter((path) => dirname(path) === 'docs' && !index.includes(path))).toEqual([]);
  });

  it('name only files of src/ that are there', () => {
    const text = architecture();
    const named = Array.from(
      text.matchAll(/`([a-z-]+(?:\/[a-z-]+)+\.ts)`/g),
      ([, file = '']) => file,
    );
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((file) => !existsSync(join('src', file)))).toEqual([]);
  });

  it('draw a node with the extensions of the list, in its order', () => {
    const [, drawn = ''] = /## A node is a list[^]*?```\n([^]*?)```/.exec(architecture()) ?? [];
    const names = Array.from(drawn.matchAll(/^ {2}(\w+) +extensions\/\1 /gm), ([, name]) => name);
    expect(names).toEqual(extensions().map(({ name }) => name));
  });

  it('tell every decision that is cited in docs/protocol.md, in a heading or in bold', () => {
    const page = readFileSync('docs/protocol.md', 'utf8');
    const told = new Set(decisions(page.match(/^#+ .*$|\*\*[^*]+\*\*/gm)?.join() ?? ''));
    const cited = ['docs', 'packages/python', 'src', 'test']
      .flatMap((folder) => filesIn(folder, /\.(?:md|py|tsx?)$/))
      .flatMap((path) => decisions(readFileSync(path, 'utf8')));
    expect(told.size).toBeGreaterThan(80);
    expect([...new Set(cited)].filter((each) => !told.has(each))).toEqual([]);
  });

  it('name only scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const wrong = PAGES.flatMap((path) =>
      Array.from(readFileSync(path, 'utf8').matchAll(/npm run (?:--silent )?([\w:-]+)/g))
        .filter(([, name = '']) => !(name in scripts))
        .map(([command]) => `${path}: ${command}`),
    );
    expect(wrong).toEqual([]);
  });
});
