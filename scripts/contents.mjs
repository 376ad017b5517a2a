/**
 * The page, with the headings of its two highest levels below `## Contents`: a line for each chapter, with its sections
 * behind it. Sections of single alerts are left out: each alert has the link to its own.
 */
export function withContents(page) {
  const [before, after] = page.split('\n## Contents\n');
  const rest = after.slice(after.indexOf('\n## '));
  const prose = rest.replace(/^ *```[\s\S]*?^ *```$/gm, '');
  const lines = [];
  for (const [, level, heading] of prose.matchAll(/^(##|###) (.+)$/gm)) {
    const link = `[${heading}](#${anchorOf(heading)})`;
    if (level === '##') lines.push([link]);
    else if (!/^Majordomo[A-Z]/.test(heading)) lines.at(-1).push(link);
  }
  const list = lines.map(([chapter, ...sections]) =>
    sections.length === 0 ? `- ${chapter}` : `- ${chapter}: ${sections.join(', ')}`,
  );
  return `${before}\n## Contents\n\n${list.join('\n')}\n${rest}`;
}

/** As GitHub makes it. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');
}
