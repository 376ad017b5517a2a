import { contractFault } from '../../../src/wire/contract.js';

const TOO_DEEP = 'a contract may be at most 64 levels deep';

function lists(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

describe('a contract', () => {
  it.each([
    ['64 levels', `{"x":${lists(63)}}`, null],
    ['65 levels', `{"x":${lists(64)}}`, TOO_DEEP],
    ['65 levels that a duplicate key replaces', `{"x":${lists(64)},"x":1}`, TOO_DEEP],
    ['20,000 levels that a duplicate key replaces', `{"x":${lists(20_000)},"x":1}`, TOO_DEEP],
    ['brackets in strings', `{"${'['.repeat(99)}":"\\"${'{'.repeat(99)}\\\\"}`, null],
    ['many levels after a string', `{"x\\\\":${lists(64)}}`, TOO_DEEP],
    ['levels side by side', `{"x":[${Array(99).fill('{}').join(',')}]}`, null],
  ])('is at most 64 levels deep: %s', (_what, json, fault) => {
    expect(contractFault(Buffer.from(json))).toBe(fault);
  });
});
