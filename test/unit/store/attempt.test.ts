import { readWorkerText, workerText } from '../../../src/store/attempt.js';

it.each<[number, string, string | null]>([
  [1, '127.0.0.1', 'host:17'],
  [2, '10.0.0.5', 'big box 7'],
  [3, '10.0.0.5', null],
  [4, '', 'local one'],
  [5, '', null],
  [0, '', null],
])('a worker is read as it was written: %s, %j, %j', (number, address, name) => {
  expect(readWorkerText(workerText(number, address, name))).toEqual({
    ...{ worker: String(number), workerName: name },
    workerAddress: address === '' ? null : address,
  });
});
