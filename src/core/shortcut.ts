/**
 * Uses of Node beyond its documentation, for speed (docs/adr/0002). Each has a documented way beside it. A version
 * of Node that works differently is met by taking that way, for the rest of the process.
 */

/** A use of Node beyond its documentation, until it is given up. */
export class Shortcut {
  #reason: string | null = null;
  #told: ((reason: string) => void) | null = null;

  /** Whether the documented way is taken. */
  get isOff(): boolean {
    return this.#reason !== null;
  }

  /** What was not as expected; `null`: nothing so far. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Takes the documented way from now on. Later calls change nothing. */
  giveUp(reason: string): void {
    if (this.isOff) return;
    this.#reason = reason;
    this.#told?.(reason);
  }

  /** @param told called once, when it is given up: at once if it already is */
  watch(told: (reason: string) => void): void {
    this.#told = told;
    if (this.#reason !== null) told(this.#reason);
  }
}

/** What each of them does; the names are in the log and in docs/adr/0002. */
export const SHORTCUTS = {
  reading: 'accepted sockets read into one buffer',
  writing: "output is written without the socket's stream",
  refusing: 'a connection is refused before it has a socket',
  repeating: 'a head over HTTP that came before is not parsed again',
  flags: 'limits of V8 are set for a broker',
} as const;

export type ShortcutName = keyof typeof SHORTCUTS;

/** The shortcuts of this process. */
export const shortcuts = Object.fromEntries(
  Object.keys(SHORTCUTS).map((name) => [name, new Shortcut()]),
) as Readonly<Record<ShortcutName, Shortcut>>;

/** Says in a few words what came in place of what was expected: `null`, `a string`, `the number 7`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'number') return `the number ${value}`;
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

/** Whether Node's undocumented object, whatever came in its place, has this function. */
export function hasFunction<Name extends string>(
  value: unknown,
  name: Name,
): value is Readonly<Record<Name, (this: unknown, ...args: unknown[]) => unknown>> {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
  );
}
