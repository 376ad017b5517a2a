const NAME_CHARACTERS_MAX = 128;

/** Edits (insert, delete, replace, swap of neighbours) that make `right` of `left`. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1];
      let best = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length] ?? 0;
}

/**
 * The name that was probably meant, or null: at most a third of the letters differ, apart from
 * case. A name without its beginning or end (`heartbeatMs`, `ttl`) is found by its words.
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length === 0 || name.length > NAME_CHARACTERS_MAX) return null;
  const wanted = name.toLowerCase();
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    // So many letters would have to come or go, at least.
    const longer = Math.max(name.length, candidate.length);
    if (Math.abs(name.length - candidate.length) > allowedEdits(longer)) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null && bestDistance <= allowedEdits(Math.max(name.length, best.length))) {
    return best;
  }
  return known.find((candidate) => sharesWords(name, candidate)) ?? null;
}

function allowedEdits(letters: number): number {
  return Math.max(1, Math.floor(letters / 3));
}

const WORD = /[A-Z]?[a-z]+|(?<![A-Z])[A-Z]+(?![a-z])/g;

function sharesWords(name: string, candidate: string): boolean {
  const words = name.match(WORD)?.map((word) => word.toLowerCase()) ?? [];
  const theirs = candidate.match(WORD)?.map((word) => word.toLowerCase()) ?? [];
  return words.length > 1 && words.every((word) => theirs.includes(word));
}

/** `; did you mean X`, or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === null ? '' : `; did you mean ${nearest}`;
}
