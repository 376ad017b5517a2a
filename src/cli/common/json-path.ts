/** `-o jsonpath=EXPR`: RFC 9535, and the forms of it that kubectl takes. */
import type { JSONPathError } from 'json-p3';

import { printable } from './output.js';
import { usage } from './options.js';
import { cellsOf } from './table.js';

const EXAMPLE = "-o jsonpath='{.items[*].name}'";

/**
 * @param given such as `{.items[*].name}`, `.items[0]` or `$.items[?(@.state=="dead")].uuid`
 * @returns what finds it in a value
 * @throws ERR_USAGE with the place that is wrong
 */
export async function jsonPath(given: string): Promise<(value: unknown) => readonly unknown[]> {
  const bare = given.replace(/^\{([^]*)\}$/, '$1');
  if (/^range\s/.test(bare)) {
    throw usage(`-o jsonpath: there is no range: each value is on a line; an example: ${EXAMPLE}`);
  }
  const before = bare.startsWith('$') ? '' : /^[.[]/.test(bare) ? '$' : '$.';
  const { compile } = await import('json-p3');
  try {
    const path = compile(before + bare);
    // kubectl has every list in `.items`; ours that are plain arrays are found there, too.
    const isOfItems = /^\$\.items\b/.test(before + bare);
    return (value) => {
      const root = isOfItems && Array.isArray(value) ? { items: value as unknown[] } : value;
      return path.query(root as Parameters<typeof path.query>[0]).values();
    };
  } catch (error) {
    const { message, index } = problemOf(error);
    const at = Math.max(0, index - before.length) + (bare === given ? 0 : 1);
    const mark = `${' '.repeat(cellsOf(printable(given.slice(0, at))))}^`;
    throw usage(
      `-o jsonpath: ${message}, at character ${at + 1}:\n  ${printable(given)}\n  ${mark}\nan example: ${EXAMPLE}`,
    );
  }
}

function problemOf(error: unknown): { readonly message: string; readonly index: number } {
  const { name, token, message } = error as JSONPathError;
  if (name === 'JSONPathLexerError') return { message: 'it ends too early', index: token.index };
  // The library's places are wrong for the user: they count what was put before the expression.
  const [what = '', within = token.index] = message
    .replace(/ \('[^]*':\d+\)$/, '')
    .split(/ at index (?=\d+$)/);
  return { message: what, index: Number(within) };
}
