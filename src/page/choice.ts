/** A select field. */
import { el } from './dom.js';

export type Options = readonly (readonly [value: string, label: string])[];

/** @param value one of the options; any other value counts as the empty one */
export function choice(label: string, options: Options, value: string): HTMLSelectElement {
  const made = el('select', { 'aria-label': label });
  offer(made, options);
  made.value = options.some(([each]) => each === value) ? value : '';
  return made;
}

/** Replaces the options if they changed, and keeps the value if it is still among them. */
export function offer(select: HTMLSelectElement, options: Options): void {
  const said = JSON.stringify(options);
  if (select.dataset['offered'] === said) return;
  select.dataset['offered'] = said;
  const { value } = select;
  select.replaceChildren(...options.map(([each, shown]) => el('option', { value: each }, shown)));
  select.value = options.some(([each]) => each === value) ? value : '';
}
