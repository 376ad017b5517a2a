/** Marks the errors of every copy of this package in the process. */
const BRAND = Symbol.for('majordomo.error');

/** Options of `MajordomoError`. */
export interface MajordomoErrorOptions {
  readonly cause?: unknown;
  /** Facts for programs, in addition to the text, for instance `{ status: "503" }`. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The class of every error that this package throws on purpose. Match on `code`, which is stable,
 * never on the text or with `instanceof` (a process may have two copies of the package).
 */
export class MajordomoError<Code extends string = string> extends Error {
  static {
    // On the prototype, so that it costs an error nothing and does not show.
    Object.defineProperty(this.prototype, BRAND, { value: true });
    // Two names of one class in a bundle leave only one of them as it is.
    Object.defineProperty(this, 'name', { value: 'MajordomoError' });
  }

  override readonly name: string = 'MajordomoError';
  /** What happened, as a stable word: for `switch` and for logs. */
  readonly code: Code;
  /** Facts for programs; `{}` if there are none. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: MajordomoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** True for errors of this package, also of another copy of it. */
export function isBranded(error: unknown): error is MajordomoError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** The facts that an error of this package carries; `{}` for any other value. */
export function detailsOf(error: unknown): Readonly<Record<string, unknown>> {
  return isBranded(error) ? error.details : {};
}

/**
 * The `code` of any thrown value, or `undefined`; works for errors of native modules, too.
 *
 *     if (codeOf(error) === 'ENOENT') …
 */
export function codeOf(error: unknown): string | undefined {
  const code = fieldOf(error, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** The cause of any thrown value, or `undefined`. */
export function causeOf(error: unknown): unknown {
  return fieldOf(error, 'cause');
}

/** The message of any thrown value; empty if it cannot be made. */
export function messageOf(error: unknown): string {
  return readOf(() => {
    const hasMessage = typeof error === 'object' && error !== null && 'message' in error;
    return String(hasMessage ? error.message : error);
  }, '');
}

/** A field of any thrown value, or `undefined`. */
export function fieldOf(error: unknown, field: string): unknown {
  return readOf(() => {
    const hasField = typeof error === 'object' && error !== null && field in error;
    return hasField ? (error as Readonly<Record<string, unknown>>)[field] : undefined;
  }, undefined);
}

/** What a thrown value says, unless it throws itself when it is read. */
export function readOf<Value>(read: () => Value, otherwise: Value): Value {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
