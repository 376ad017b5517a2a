import { valuesOnce } from '../../../src/admin/io/header-values.js';

it('has the values of each field by its name in lower case, and nothing else', () => {
  const values = valuesOnce({ rawHeaders: ['Host', 'a', 'X-A', '1', 'x-a', '2'] })();
  expect(Object.entries(values)).toEqual([
    ['host', ['a']],
    ['x-a', ['1', '2']],
  ]);
  expect(Object.getPrototypeOf(values)).toBeNull();
});
