/** Light, dark, or the theme of the system. */
import { signal } from '@preact/signals';

const KEY = 'majordomo.theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

export const theme = signal<Theme>('auto');
/** Counts changes of colours: what is drawn on a canvas must be drawn again. */
export const repainted = signal(0);

function show(chosen: Theme): void {
  theme.value = chosen;
  if (chosen === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
  repainted.value++;
}

export function startTheme(): void {
  const stored = localStorage.getItem(KEY);
  show(THEMES.find((each) => each === stored) ?? 'auto');
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    repainted.value++;
  });
}

export function switchTheme(): void {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'auto';
  localStorage.setItem(KEY, next);
  show(next);
}
