import type { Completion } from '../../../store/store.js';

/** Calls to the store by one activation: after it is left, none of their outcomes is told any more. */
export class Scope {
  #isLeft = false;

  leave(): void {
    this.#isLeft = true;
  }

  completion<Result, Failed>(
    done: (result: Result) => void,
    failed: (failure: Failed) => void,
  ): Completion<Result, Failed> {
    return {
      done: (result) => {
        if (!this.#isLeft) done(result);
      },
      failed: (failure) => {
        if (!this.#isLeft) failed(failure);
      },
    };
  }
}
