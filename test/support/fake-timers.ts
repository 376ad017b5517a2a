/**
 * Timers of Jest in each case of a file or `describe`. Hooks run in the order in which they are set: one
 * that needs these timers comes after this in `beforeEach`, and before this in `afterEach`.
 */
export function fakeTimers(): void {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });
}
