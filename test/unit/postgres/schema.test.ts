import { IS_CLAIMABLE, IS_LISTED } from '../../../src/extensions/postgres/schema.js';
import {
  isWork,
  type KnownKind,
  numberOfKind,
  RECORD_KINDS,
} from '../../../src/store/record-kind.js';

it('the indexes of a database have the kinds that brokers claim, and those that they keep in mind', () => {
  const numbers = (isMeant: (kind: KnownKind) => boolean): string =>
    RECORD_KINDS.filter(isMeant).map(numberOfKind).join(', ');
  expect(IS_LISTED).toContain(`kind NOT IN (${numbers(isWork)})`);
  const claimed = `${numbers(isWork)}, ${numberOfKind('schedule')}`;
  expect(IS_CLAIMABLE).toContain(`kind IN (${claimed})`);
});
