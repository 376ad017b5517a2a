/**
 * Asynchronous code in virtual time. A promise would go on in a microtask, which a simulated clock does
 * not wait for; a routine goes on within the action that it waited for.
 */

/** Waits; `resume` goes on, with an error or with `null`. */
export type Wait = (resume: (error: unknown) => void) => void;

/** Like an async function: `yield*` stands for `await`. */
export type Routine<Result> = Generator<Wait, Result, void>;

/** Runs it until it first waits, and from then on whenever what it waits for has happened. */
export function begin(routine: Routine<void>): void {
  const step = (error: unknown): void => {
    const { done, value } = error === null ? routine.next() : routine.throw(error);
    if (done !== true) value(step);
  };
  step(null);
}
