// docs/decisions.md: each decision of docs/protocol.md, its first sentence, its section, and the files that cite it.
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);

const HEADING = /^#+ (.+?)(?: \((D\d+)\))?$/;
/** At the start of a paragraph: `**D5.**`, `**Envelope (D1).**`. The sentence follows. */
const LABEL = /^\*\*(?:([^*]+) \()?(D\d+)\)?\.\*\* /;
/** A sentence that is only a label, as `**Answers in time** (**D105**).` */
const ONLY_LABEL = /^\*\*([^*]+)\*\* \([^)]*\*\*D\d+\*\*\)\.$/;
/** A paragraph whose subject is the decision: `**Quotas (D75)** limit …`. */
const SUBJECT = /^\*\*[^*]+ \((D\d+)\)\*\*/;
/** A sentence that is not understood without the one before it, and one that needs the one after it. */
const GOES_ON = /^(?:It|They|This|Those) /;
const SHORT = 45;

/** The sentences of a paragraph; dots in code, in parentheses and within words end none. */
function sentencesOf(text) {
  const found = [];
  let isCode = false;
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '`') isCode = !isCode;
    if (!isCode && char === '(') depth++;
    if (!isCode && char === ')') depth--;
    const isEnd = at + 1 === text.length || (char === '.' && text[at + 1] === ' ');
    if (!isEnd || (at + 1 < text.length && (isCode || depth > 0))) continue;
    found.push(
      text
        .slice(from, at + 1)
        .trim()
        .replace(/:$/, '.'),
    );
    from = at + 1;
  }
  return found;
}

/** The paragraphs of a page, without code and tables, each on one line, with the heading above it. */
function paragraphs(page) {
  const found = [];
  let heading = '';
  let lines = [];
  const end = () => {
    if (lines.length > 0) found.push({ heading, text: lines.join(' ') });
    lines = [];
  };
  for (const line of page.replace(/^```[^]*?^```$/gm, '').split('\n')) {
    if (/^(?:$|#|\||- |\d+\. )/.test(line.trimStart())) end();
    if (line.startsWith('#')) {
      heading = line;
      found.push({ heading, text: null });
    } else if (line.trim() !== '' && !line.startsWith('|')) {
      lines.push(line.trim().replace(/^(?:- |\d+\. )/, ''));
    }
  }
  end();
  return found;
}

/** What the sentence with this number says, where a reader begins with it. */
function told(sentences, at) {
  const [, title] = ONLY_LABEL.exec(sentences[at]) ?? [];
  if (title !== undefined) return `${title}: ${sentences[at + 1]}`;
  const from = GOES_ON.test(sentences[at]) ? Math.max(0, at - 1) : at;
  return sentences.slice(from, sentences[at].length < SHORT ? at + 2 : at + 1).join(' ');
}

/** @returns by number; a heading and a label tell more than a mention in bold, the first one more than others */
function decisionsOf(page) {
  const found = new Map();
  const add = (name, rank, heading, sentence) => {
    if (rank < (found.get(name)?.rank ?? Infinity)) found.set(name, { rank, heading, sentence });
  };
  const all = paragraphs(page);
  for (const [at, { heading, text }] of all.entries()) {
    if (text === null) {
      const [, title, name] = HEADING.exec(heading);
      if (name === undefined) continue;
      const first = told(sentencesOf(all[at + 1]?.text ?? ''), 0);
      add(name, 0, heading, `${title}: ${first}`);
      continue;
    }
    const [start, subject, name] = LABEL.exec(text) ?? [];
    if (start !== undefined) {
      const first = told(sentencesOf(text.slice(start.length)), 0);
      add(name, 1, heading, subject === undefined ? first : `${subject}: ${first}`);
    }
    const sentences = sentencesOf(text);
    for (const [at, sentence] of sentences.entries()) {
      const [, ofSubject] = at === 0 ? (SUBJECT.exec(sentence) ?? []) : [];
      for (const [bold] of sentence.matchAll(/\*\*[^*]+\*\*/g)) {
        for (const [name] of bold.matchAll(/\bD\d+\b/g)) {
          add(name, name === ofSubject ? 1 : 2, heading, told(sentences, at));
        }
      }
    }
  }
  return found;
}

function slug(heading) {
  const text = heading.replace(/^#+ /, '').toLowerCase();
  return text.replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-');
}

/** The files of a folder that cite each decision. */
function citations(folder, ending) {
  const found = new Map();
  const names = readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((each) => ending.test(each)).sort()) {
    const text = readFileSync(new URL(`${folder}${name}`, root), 'utf8');
    for (const cited of new Set(text.match(/\bD[1-9]\d{0,2}\b/g))) {
      found.set(cited, [...(found.get(cited) ?? []), name]);
    }
  }
  return found;
}

/** @param page the text of docs/protocol.md */
export function decisionsPage(page) {
  const cited = [
    ['src/', citations('src/', /\.tsx?$/)],
    ['packages/python/majordomo_client/', citations('packages/python/majordomo_client/', /\.py$/)],
  ];
  const numberOf = (name) => Number(name.slice(1));
  const entries = [...decisionsOf(page)].sort(([a], [b]) => numberOf(a) - numberOf(b));
  return `${[
    '# Decisions',
    '<!-- Written by `npm run docs`, from protocol.md and the code: run that instead of editing this. -->',
    'For developers. The code and the titles of tests name decisions by number. This page has the first words of each, the section of\n[protocol.md](protocol.md) that has the rest, and the files that name it. Numbers that are missing were given up.',
    ...entries.map(([name, { heading, sentence }]) => {
      const [, title] = HEADING.exec(heading);
      const words = sentence
        .replaceAll('**', '')
        .replaceAll(` (${name})`, '')
        .replaceAll(`, ${name})`, ')')
        .replaceAll('](#', '](protocol.md#');
      const files = cited.flatMap(([folder, by]) => {
        const names = (by.get(name) ?? []).map((file) => `\`${file}\``);
        return names.length === 0 ? [] : [`In \`${folder}\`: ${names.join(', ')}.`];
      });
      const section = `[${title}](protocol.md#${slug(heading)})`;
      return [`## ${name}`, `${words} Section: ${section}.`, ...files].join('\n\n');
    }),
  ].join('\n\n')}\n`;
}
