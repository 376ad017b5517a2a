/** What may stand in a cron line: what another program for cron lines takes. */
import { Cron } from 'croner';

import { readFields } from '../../../src/titanic/machine/schedules/cron-fields.js';
import { SimRandom } from '../../simulation/world/random.js';

const PIECES = [
  ...['*', '?', '/', '-', ',', '#', 'L', 'l', '0', '1', '2', '5', '6', '7', '8', '12', '13', '23'],
  ...[
    '24',
    '31',
    '32',
    '59',
    '60',
    '61',
    '007',
    'sun',
    'MON',
    'Fri',
    'jan',
    'DEC',
    'Feb',
    'x',
    'ſ',
  ],
];
const ITEMS = [
  ...['*', '?', '1', '*/2', '1-5', '1-5/2', '5-1', '6-7', '0-7', '59-100/60', '58-100/59', '*/0'],
  ...['MON', 'MON-FRI', 'FRI-SUN', 'SUN-TUE', 'SAT-MON', 'MON#1', 'MONL', '5L', '1-5#2', '*/2#1'],
  ...[
    '*/2L',
    '1#6',
    '1#0',
    '1#05',
    '5#l',
    '#1',
    '1#',
    'L',
    'JAN',
    'jan-mar/2',
    'JAN/2',
    '1/2',
    '*L',
  ],
  ...['', '31', '0', '*/7', '*/12', '*/13', '*/31', '*/60', '99999999999999999999', 'mon-5', 'JUL'],
];

function isTaken(fields: readonly string[]): boolean {
  try {
    new Cron(fields.join(' '), { paused: true, utcOffset: 0 });
    return true;
  } catch {
    return false;
  }
}

describe('a cron line', () => {
  it('has what another program takes, in lines of every kind', () => {
    const random = new SimRandom(1);
    const pick = (from: readonly string[]): string => random.pick(from as readonly [string]);
    const item = (): string =>
      random.int(0, 2) > 0
        ? pick(ITEMS)
        : Array.from({ length: random.int(1, 5) }, () => pick(PIECES)).join('');
    let taken = 0;
    for (let round = 0; round < 20_000; round++) {
      const fields = ['*', '*', '*', '*', '*', '*'];
      const list = Array.from({ length: random.int(1, 3) }, item);
      fields[random.int(0, 5)] = list.join() || '*';
      // What the broker refuses before it looks at the fields.
      if (/w|\+/i.test(fields[3] ?? '')) continue;
      const is = isTaken(fields);
      if (is) taken++;
      expect([fields, typeof readFields(fields) !== 'string']).toEqual([fields, is]);
    }
    expect(taken).toBeGreaterThan(1000);
  });

  it.each([
    ['60 * * * * *', 'Invalid value for second: 60'],
    ['* * * 32 * *', 'Invalid value for day: 32'],
    ['* * * * 0 *', 'Invalid value for month: 0'],
    ['* * */25 * * *', 'Invalid step for hour: 25'],
    ['* * * * * FRI-MON', 'a range of weekday begins after its end'],
    ['* x * * * *', 'minute is not *, a number, a range, a step, or a list of these'],
  ])('%s is refused: %s', (line, fault) => expect(readFields(line.split(' '))).toBe(fault));
});
