/** Attempts of a request that two stores have: only the last of them are kept. */
import { join, type RequestState } from '../../../src/store/join.js';
import { ATTEMPTS_RETAINED, type Attempt } from '../../../src/store/store.js';
import { requestOf } from '../../support/store-changes.js';

/** @param endedAt may be in the future: the wait of a webhook */
function attempt(startedAt: number, worker: string, endedAt = startedAt): Attempt {
  return { worker, startedAt, endedAt, reason: '', failure: null, extra: null };
}

/** @param all attempts, the oldest first */
function state(all: readonly Attempt[]): RequestState {
  const attempts = all.slice(-ATTEMPTS_RETAINED);
  const ends = { reply: null, death: null, extra: null };
  return { request: requestOf(1), attemptsEver: all.length, attempts, ...ends };
}

/** What both sides have then. */
function joined(ours: RequestState, theirs: RequestState): readonly Attempt[] {
  const { attempts } = join(ours, theirs, true).state;
  expect(join(theirs, ours, false).state.attempts).toEqual(attempts);
  return attempts;
}

describe('a request in two stores', () => {
  it('keeps the number that it has here, whichever side is above', () => {
    const here = state([]);
    const above = { ...state([]), request: { ...requestOf(1), number: 4097, generation: 1 } };
    expect(join(here, above, true).state.request).toMatchObject({ number: 1, generation: 1 });
    expect(join(above, here, false).state.request).toMatchObject({ number: 4097, generation: 1 });
  });
});

describe('what became last of a record in two stores', () => {
  const at = (attempts: number, outcome: number, notBefore = 5): RequestState => ({
    ...state([]),
    request: { ...requestOf(1), attempts, notBefore, outcome, outcomeAt: outcome },
  });
  const outcomes = (ours: RequestState, theirs: RequestState, isTheirs: boolean): unknown[] => {
    const here = join(ours, theirs, isTheirs);
    const there = join(theirs, ours, !isTheirs);
    return [here, there].map(({ state: { request } }) => [request.outcome, request.outcomeAt]);
  };

  it('is that of the side that had more', () => {
    expect(outcomes(at(2, 1), at(1, 2), true)).toEqual([1, 1].map((each) => [each, each]));
    expect(outcomes(at(1, 1, 5), at(1, 2, 6), false)).toEqual([2, 2].map((each) => [each, each]));
  });

  it('is that of the preferred side if both had as much, and the other one learns of it', () => {
    expect(outcomes(at(1, 1), at(1, 2), true)).toEqual([2, 2].map((each) => [each, each]));
    expect(join(at(1, 1), at(1, 2), false)).toMatchObject({
      isChanged: false,
      isNewsToOther: true,
    });
    expect(join(at(1, 1), at(1, 2), true)).toMatchObject({ isChanged: true, isNewsToOther: false });
  });
});

describe('the attempts of a request in two stores', () => {
  it('keep their order if one side only dropped some and added some: a clock was set back', () => {
    const all = Array.from({ length: 24 }, (_, at) => attempt(100 - at, 'w'));
    expect(joined(state(all), state(all.slice(0, 22)))).toEqual(all.slice(4));
    expect(joined(state(all.slice(0, 22)), state(all))).toEqual(all.slice(4));
  });

  it('are in the order of their beginnings if each side has some that the other lacks', () => {
    const common = Array.from({ length: 20 }, (_, at) => attempt(at, 'w'));
    const waits = attempt(20, '', 9_000);
    const [a, b] = [attempt(21, 'a'), attempt(22, 'b')];
    const kept = [...common.slice(3), waits, a, b];
    expect(joined(state([...common, waits, a]), state([...common, waits, b]))).toEqual(kept);
  });
});
