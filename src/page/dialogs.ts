/** Dialogs and toasts. The dialogs are native: they keep the focus and close on Escape. */
import { get, messageOf, post, statusOf, token } from './api.js';
import { button, type Child, el, text } from './dom.js';

interface Question {
  readonly title: string;
  readonly body: readonly Child[];
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** Nothing to decide: the dialog has only a button to close it. */
  readonly isNotice?: boolean;
  /** Called before it closes. Returns what is wrong with the input; `null`: nothing. */
  readonly check?: () => string | null;
}

/** Shows the dialog. Resolves with true if it was confirmed. */
export function askPerson(question: Question): Promise<boolean> {
  const { title, body, confirm, check } = question;
  const wrong = el('p', { class: 'wrong', role: 'alert' });
  const style = question.isDangerous === true ? 'button danger' : 'button primary';
  const form = el(
    'form',
    { method: 'dialog' },
    el('h2', { id: 'dialog-title' }, title),
    ...body,
    wrong,
    el(
      'div',
      { class: 'dialog-actions' },
      question.isNotice === true
        ? null
        : button('Cancel', 'button', () => {
            dialog.close('');
          }),
      el('button', { type: 'submit', class: style }, confirm),
    ),
  );
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title' }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const fault = check?.() ?? null;
      text(wrong, fault ?? '');
      if (fault === null) dialog.close('yes');
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    dialog.showModal();
  });
}

let asking: Promise<boolean> | null = null;

/** Asks for the token; simultaneous calls share one dialog. True if one was entered. */
export function askToken(why: string): Promise<boolean> {
  asking ??= askTokenNow(why).finally(() => {
    asking = null;
  });
  return asking;
}

async function askTokenNow(why: string): Promise<boolean> {
  const input = el('input', {
    type: 'password',
    id: 'token',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const given = await askPerson({
    title: 'Token needed',
    body: [
      el('p', {}, why),
      el('label', { for: 'token' }, 'Token'),
      input,
      el(
        'p',
        { class: 'quiet' },
        'The token is http.token in the configuration, or the content of the file http.token in the data directory. ',
        'The browser keeps it until you close this tab.',
      ),
    ],
    confirm: 'Use this token',
    // The browser would refuse to send other characters in a header.
    check: () =>
      /^[\x21-\x7e]+$/.test(input.value.trim())
        ? null
        : 'A token contains only visible ASCII characters, and no spaces.',
  });
  if (given) token.set(input.value.trim());
  return given;
}

/**
 * Sends a command, and asks for the token until it is accepted.
 * @returns `null` if the user cancelled
 * @throws ApiError, other than for the token
 */
export async function order<Answer>(path: string, body: object = {}): Promise<Answer | null> {
  return await withToken('Changes', () => post<Answer>(path, body));
}

/**
 * Reads something that only holders of the token may see.
 * @param what its name, in the plural and capitalized
 * @returns `null` if the user cancelled
 * @throws ApiError, other than for the token
 */
export async function read<Answer>(path: string, what: string): Promise<Answer | null> {
  return await withToken(what, () => get<Answer>(path));
}

async function withToken<Answer>(what: string, run: () => Promise<Answer>): Promise<Answer | null> {
  let why = `${what} need the token of this node.`;
  for (;;) {
    if (token.get() === null && !(await askToken(why))) return null;
    try {
      return await run();
    } catch (error) {
      const status = statusOf(error);
      if (status === 403) {
        // If the user enters no other token, the read-only one stays.
        if (!(await askToken(`This token is read-only: ${what.toLowerCase()} need http.token.`))) {
          return null;
        }
        continue;
      }
      if (status !== 401) throw error;
      token.forget();
      why = 'Wrong token.';
    }
  }
}

const toasts = new Map<HTMLElement, number>();
const TOAST_MS = 7000;

/** Shows a result for a few seconds. */
export function toast(message: string, kind: 'good' | 'bad'): void {
  const place = document.getElementById('toasts');
  if (place === null) return;
  const made = el('p', { class: `toast ${kind}` }, message);
  place.append(made);
  const timer = setTimeout(() => {
    made.remove();
    toasts.delete(made);
  }, TOAST_MS);
  toasts.set(made, timer);
  const [oldest] = toasts.keys();
  if (toasts.size > 3 && oldest !== undefined) {
    clearTimeout(toasts.get(oldest));
    toasts.delete(oldest);
    oldest.remove();
  }
}

/** Runs the action of a button, and shows its error. */
export function attempt(run: () => Promise<void>): void {
  run().catch((error: unknown) => {
    toast(messageOf(error), 'bad');
  });
}
