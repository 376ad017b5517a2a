/** Light, dark, or the theme of the system. */
import { attribute, text } from './dom.js';

const KEY = 'majordomo.theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

function stored(): Theme {
  const found = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === found) ?? 'auto';
}

function apply(theme: Theme): void {
  attribute(document.documentElement, 'data-theme', theme === 'auto' ? null : theme);
}

/** @returns a function that switches to the next theme */
export function themeSwitch(button: HTMLElement): () => void {
  const show = (): void => {
    const theme = stored();
    apply(theme);
    text(button, { auto: '◐', light: '☀', dark: '☾' }[theme]);
    const label = `Colours: ${theme}`;
    attribute(button, 'aria-label', label);
    attribute(button, 'title', `${label} (t)`);
  };
  const next = (): void => {
    const at = THEMES.indexOf(stored());
    localStorage.setItem(KEY, THEMES[(at + 1) % THEMES.length] ?? 'auto');
    show();
  };
  button.addEventListener('click', next);
  show();
  return next;
}
