/** The size of the screen, and text cut to fit it. */

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
