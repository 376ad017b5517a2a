/** The page, with the items of each heading in the list below it. */
export function withLists(page, lists) {
  let text = page;
  for (const [heading, items] of Object.entries(lists)) {
    const [before, after] = text.split(`\n${heading}\n`);
    const lines = items.map((each) => `- ${each}\n`).join('');
    text = `${before}\n${heading}\n${after.replace(/\n- [^]*?\n(?=\n#|$)/, () => `\n${lines}`)}`;
  }
  return text;
}
