/** Gives the errors of zod their places in what was written. */
import type { z } from 'zod';

import type { Problem } from './problem.js';
import {
  nearestAt,
  pathText,
  plain,
  show,
  type Path,
  type SourceLocation,
  type Tree,
} from './tree.js';

type Issue = z.core.$ZodIssue;

/** A problem, with the steps of its path. */
interface Found {
  readonly path: Path;
  readonly problem: Problem;
}

/** Keys elsewhere that may be meant by an unknown one. */
type Elsewhere = (path: Path) => readonly string[];

/** @param meant the keys that may be meant by it */
export function unknownKey(meant: readonly string[]): string {
  const different = [...new Set(meant)];
  return `unknown key${meant.length === 0 ? '' : `; did you mean ${different.join(' or ')}`}`;
}

/** The problems of `written`, each at the value or the key that is wrong. */
export function placed(
  written: Tree,
  issues: readonly Issue[],
  elsewhere: Elsewhere = () => [],
): readonly Found[] {
  const found = issues.flatMap((issue) => translate(written, issue, [], elsewhere));
  // A value can fail several checks that say the same.
  return [...new Map(found.map((one) => [JSON.stringify(one.problem), one])).values()];
}

function translate(written: Tree, issue: Issue, base: Path, elsewhere: Elsewhere): Found[] {
  const path: Path = [...base, ...issue.path.map(stepOf)];
  const node = nearestAt(written, path);
  const found = (at: Path, { place }: SourceLocation, message: string): Found => ({
    path: at,
    problem: { place, path: pathText(at), message },
  });
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.message.split('\n').map((near, index) => {
        const key = issue.keys[index] ?? '';
        const at = [...path, key];
        const entry = node.kind === 'map' ? node.entries.get(key) : undefined;
        return found(
          at,
          entry?.key ?? node.origin,
          unknownKey([...(near === '' ? [] : [near]), ...elsewhere(at)]),
        );
      });
    case 'invalid_union': {
      const best = issue.errors.find((errors) => !errors.some(isOfAnotherForm));
      if (best !== undefined) {
        return best.flatMap((each) => translate(written, each, path, elsewhere));
      }
      break;
    }
    case 'invalid_key':
      return [found(path, node.origin, `${issue.message}, got ${show(plain(node))}`)];
    default:
  }
  return [found(path, node.origin, issue.message)];
}

/** The value has not the type of this form, or is not its only word. */
function isOfAnotherForm({ code, path }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
}

function stepOf(step: PropertyKey): string | number {
  return typeof step === 'number' ? step : String(step);
}
