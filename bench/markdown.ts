/** Figures and tables as Markdown, for the performance pages. */

export function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const rows = [head, ...lines];
  const widths = head.map((_, at) => Math.max(3, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head), rule, ...lines.map(line)].join('\n');
}

/** A target that was judged. */
export interface Judged {
  readonly about: string;
  readonly isMet: boolean;
  /** What holds it back, and what would meet it; `undefined`: nobody has said yet. */
  readonly why: string | undefined;
}

const NO_REASON =
  '**nobody has said why yet.** Before a release, say so at the target in `bench`, or retire it.';

export function verdictOf({ isMet }: Pick<Judged, 'isMet'>): string {
  return isMet ? 'met' : '**missed**';
}

/** Below a table: why targets were missed. Those with one reason share a line. */
export function missedText(judged: readonly Judged[]): string[] {
  const missed = judged.filter(({ isMet }) => !isMet);
  const lines = [...Map.groupBy(missed, ({ why }) => why ?? NO_REASON)].map(
    ([why, all]) => `- Missed: ${all.map(({ about }) => about).join('; ')}. ${why}`,
  );
  return lines.length === 0 ? [] : [lines.join('\n')];
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)}×`;
}
