import { isRefusal } from '../../../src/extensions/postgres/failures.js';

function withState(code: string): Error {
  return Object.assign(new Error('from the server'), { code });
}

describe('an error of the database', () => {
  it.each(['42501', '42P01', '22P02', '53100', '53200', '53300'])(
    '%s is a refusal that a person must mend',
    (state) => expect(isRefusal(withState(state))).toBe(true),
  );

  it.each(['55P03', '40001', '40P01', '57014', '25006', '57P01', '08006', '25P03'])(
    '%s is none: another session, or another server, may succeed',
    (state) => expect(isRefusal(withState(state))).toBe(false),
  );
});
