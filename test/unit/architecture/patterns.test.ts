import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/**
 * Peers choose what the patterns of the broker and of the SDKs meet. `npm run lint` refuses those of `src` whose
 * structure is wrong; this runs all of them, also those of Python, on their own characters, repeated.
 */
const TINY = 20;
const SHORT = 2_500;
const GROWTH = 8;
/** An input that a pattern reads within this time says nothing about how its time grows. */
const QUICK_MS = 0.25;

it('takes a time that is linear in the length of the text, for each pattern of the broker and of both SDKs', () => {
  const slow = [...patternsOfSource(), ...patternsOfPython()].flatMap(({ place, pattern }) => {
    const attack = attackOn(pattern);
    return attack === undefined
      ? []
      : [`${place}: ${String(pattern)} on ${JSON.stringify(attack)}, repeated`];
  });
  expect(slow).toEqual([]);
});

it('would find a pattern that begins anew at each blank, and one that looks for an end that is missing', () => {
  for (const pattern of [/\s*;.*/gs, /(?:a+)+$/g, /"(?:[^"\\]|\\.)*"/g, /\d+$/g, /(?:ab)*c/g]) {
    expect(attackOn(pattern)).toBeDefined();
  }
});

interface Found {
  readonly place: string;
  readonly pattern: RegExp;
}

function patternsOfSource(): readonly Found[] {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.tsx?$/.test(name),
  );
  return files.flatMap((place) => {
    const found: Found[] = [];
    const text = readFileSync(join('src', place), 'utf8');
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const [, source = '', flags = ''] = /^\/(.*)\/(\w*)$/s.exec(node.text) ?? [];
        found.push({ place, pattern: new RegExp(source, `${flags.replace(/[gy]/, '')}g`) });
      }
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(place, text, ts.ScriptTarget.Latest));
    return found;
  });
}

function patternsOfPython(): readonly Found[] {
  const folder = 'packages/python/majordomo_client';
  const files = readdirSync(folder).filter((name) => name.endsWith('.py'));
  return files.flatMap((place) => {
    const text = readFileSync(join(folder, place), 'utf8');
    const calls = text.matchAll(/\bre\.\w+\(\s*r?b?"((?:[^"\\]|\\.)*)"/g);
    return Array.from(calls, ([, source = '']) => ({ place, pattern: new RegExp(source, 'gs') }));
  });
}

/** One or two parts of the pattern itself, or of what its classes stand for, that slow it down if they are repeated. */
function attackOn(pattern: RegExp): string | undefined {
  const escaped: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
  const parts = new Set([' ', '\n', 'a', 'A', '0', '-']);
  for (const [part] of pattern.source.matchAll(/[A-Za-z\d]{2,}|\\.|[^\\]/gs)) {
    const of = part.startsWith('\\') ? part.slice(1) : part;
    if (part === of || !/\w/.test(of)) parts.add(of);
    else if (escaped[of] !== undefined) parts.add(escaped[of]);
  }
  const pairs = [...parts].flatMap((one) => Array.from(parts, (two) => one + two));
  return [...parts, ...pairs].find((word) => isSuperLinear(pattern, word));
}

/** For eight times the text a linear pattern needs eight times the time, a quadratic one 64 times. */
function isSuperLinear(pattern: RegExp, word: string): boolean {
  const isQuick = (length: number): boolean => timeOn(pattern, word, length) < QUICK_MS;
  const best = (length: number): number =>
    Math.min(...Array.from({ length: 5 }, () => timeOn(pattern, word, length)));
  // An exponential one would not come to the end of a longer text.
  if (!isQuick(TINY) && best(TINY) > QUICK_MS) return true;
  if (isQuick(SHORT)) return false;
  const long = best(GROWTH * SHORT);
  return long > 48 * QUICK_MS && long > 24 * best(SHORT);
}

function timeOn(pattern: RegExp, word: string, length: number): number {
  // No pattern accepts the last character, unless it accepts any.
  const text = `${word.repeat(Math.ceil(length / word.length))}\u0001`;
  const since = performance.now();
  text.replaceAll(pattern, '');
  return performance.now() - since;
}
