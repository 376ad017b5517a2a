import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import ts from 'typescript';

/**
 * Peers choose what the patterns of the broker and of the SDKs meet. `npm run lint` refuses those of `src` whose
 * structure is wrong; this runs all of them, also those of Python, on their own characters, repeated.
 */
const SHORT = 4_000;
const GROWTH = 8;
/** An input that a pattern reads within this time says nothing about how its time grows. */
const QUICK_MS = 1;

it('takes a time that is linear in the length of the text, for each pattern of the broker and of both SDKs', () => {
  const slow = [...patternsOfSource(), ...patternsOfPython()].flatMap(({ place, pattern }) => {
    const attack = attacks(pattern.source).find((parts) => isSuperLinear(pattern, parts));
    return attack === undefined
      ? []
      : [`${place}: ${String(pattern)} on ${JSON.stringify(attack)}`];
  });
  expect(slow).toEqual([]);
});

it('would find a pattern that begins anew at each blank, and one that looks for an end that is missing', () => {
  for (const pattern of [/\s*;.*/gs, /"(?:[^"\\]|\\.)*"/g, /\d+$/g, /(?:ab)*c/g]) {
    expect(attacks(pattern.source).some((parts) => isSuperLinear(pattern, parts))).toBe(true);
  }
});

interface Found {
  readonly place: string;
  readonly pattern: RegExp;
}

/** The beginning of a text, and what it repeats. */
type Attack = readonly [beginning: string, word: string];

function patternsOfSource(): readonly Found[] {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.tsx?$/.test(name),
  );
  return files.flatMap((name) => {
    const found: Found[] = [];
    const file = ts.createSourceFile(
      name,
      readFileSync(join('src', name), 'utf8'),
      ts.ScriptTarget.Latest,
    );
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const [, source = '', flags = ''] = /^\/(.*)\/(\w*)$/s.exec(node.text) ?? [];
        found.push({ place: name, pattern: new RegExp(source, `${flags.replace(/[gy]/, '')}g`) });
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
    return found;
  });
}

function patternsOfPython(): readonly Found[] {
  const folder = 'packages/python/majordomo';
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith('.py')) return [];
    const text = readFileSync(join(folder, name), 'utf8');
    const calls = text.matchAll(/\bre\.\w+\(\s*r?b?"((?:[^"\\]|\\.)*)"/g);
    return Array.from(calls, ([, source = '']) => ({
      place: name,
      pattern: new RegExp(source, 'gs'),
    }));
  });
}

/** Words of one or two parts of the pattern itself, and of what its classes stand for. */
function attacks(source: string): readonly Attack[] {
  const escaped: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
  const parts = new Set([' ', '\n', 'a', 'A', '0', '-']);
  for (const [part] of source.matchAll(/[A-Za-z\d]{2,}|\\.|[^\\]/gs)) {
    const of = part.startsWith('\\') ? part.slice(1) : part;
    if (part === of || !/\w/.test(of)) parts.add(of);
    else if (escaped[of] !== undefined) parts.add(escaped[of]);
  }
  const words = [...parts, ...[...parts].flatMap((one) => Array.from(parts, (two) => one + two))];
  return words.flatMap((word): Attack[] => [
    ['', word],
    ['x', word],
  ]);
}

/** A linear pattern would need eight times the time for eight times the text, this one about 64 times. */
function isSuperLinear(pattern: RegExp, attack: Attack): boolean {
  if (timeOn(pattern, attack, SHORT) < QUICK_MS) return false;
  const [short, long] = [SHORT, GROWTH * SHORT].map((length) =>
    Math.min(...Array.from({ length: 3 }, () => timeOn(pattern, attack, length))),
  );
  return long > QUICK_MS && long > 3 * GROWTH * Math.max(short, QUICK_MS / 10);
}

function timeOn(pattern: RegExp, [beginning, word]: Attack, length: number): number {
  // No pattern accepts the last character, unless it accepts any.
  const text = `${beginning}${word.repeat(Math.ceil(length / word.length))}\u0001`;
  const since = performance.now();
  text.replaceAll(pattern, '');
  return performance.now() - since;
}
