export type State = 'ok' | 'warning' | 'problem';

/** A result of `majordomo doctor`; its JSON has these keys. */
export interface Finding {
  /** Stable name of the check. */
  readonly name: string;
  readonly state: State;
  readonly text: string;
  /** What to do; null if nothing. */
  readonly remedy: string | null;
}

export function ok(name: string, text: string): Finding {
  return { name, state: 'ok', text, remedy: null };
}

/** A finding that something works, but badly or not for long. */
export function warning(name: string, text: string, remedy: string): Finding {
  return { name, state: 'warning', text, remedy };
}

/** A finding that the broker would not start or not serve. */
export function problem(name: string, text: string, remedy: string): Finding {
  return { name, state: 'problem', text, remedy };
}
