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
export class MajordomoError extends Error {
  override readonly name: string = 'MajordomoError';
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: MajordomoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** The `code` of any thrown value, or `undefined`; works for errors of native modules, too. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return String(error.message);
  }
  return String(error);
}
