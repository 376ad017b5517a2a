/** The times of the day of a cron line: those that the parser finds. */
import { Cron } from 'croner';

import {
  type CronFields,
  readFields,
  timeFrom,
} from '../../../src/titanic/machine/schedules/cron-fields.js';
import { SimRandom } from '../../simulation/world/random.js';

const DAY_MS = 86_400_000;
/** How many times are compared. */
const COUNT = 5;

function fieldsOf(line: string): CronFields {
  const fields = readFields([...line.split(' '), '*', '*', '*']);
  if (typeof fields === 'string') throw new Error(fields);
  return fields;
}

/** Some of those after a time of the 2nd of January 1970, as the parser finds them. */
function parsed(line: string, after: number): number[] {
  const cron = new Cron(`${line} 2 1 *`, { paused: true, utcOffset: 0 });
  const all: number[] = [];
  let at = cron.nextRun(new Date(DAY_MS + after));
  while (all.length < COUNT && at !== null && at.getTime() < 2 * DAY_MS) {
    all.push(at.getTime() - DAY_MS);
    at = cron.nextRun(at);
  }
  return all;
}

function found(line: string, after: number): number[] {
  const fields = fieldsOf(line);
  const all: number[] = [];
  let at = timeFrom(fields, after + 1);
  while (all.length < COUNT && at !== null) {
    all.push(at);
    at = timeFrom(fields, at + 1);
  }
  return all;
}

const SIXTY = ['*', '?', '0', '*/7', '5-50/7', '1,2-4,*/30', '59', '31,32', '*/59', '007', '0-59'];
const HOURS = ['*', '?', '0', '*/5', '22-23', '23', '9-17/4', '0,12', '*/24'];

describe('the times of the day of a cron line', () => {
  it('are those that the parser finds, in lines of every kind', () => {
    const random = new SimRandom(1);
    const pick = (from: readonly string[]): string => random.pick(from as readonly [string]);
    for (let round = 0; round < 500; round++) {
      const line = [pick(SIXTY), pick(SIXTY), pick(HOURS)].join(' ');
      const after = random.int(0, DAY_MS - 1);
      expect([line, after, found(line, after)]).toEqual([line, after, parsed(line, after)]);
    }
  });

  it('may be the first and the last of the day', () => {
    const last = DAY_MS - 1000;
    expect(timeFrom(fieldsOf('* * *'), 0)).toBe(0);
    expect(timeFrom(fieldsOf('59 59 23'), 0)).toBe(last);
    expect(timeFrom(fieldsOf('59 59 23'), last)).toBe(last);
    expect(timeFrom(fieldsOf('* * *'), last + 1)).toBeNull();
    expect(timeFrom(fieldsOf('0 0 0'), 1)).toBeNull();
  });
});
