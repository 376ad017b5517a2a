import { describeRankedStoreContract, remove } from '../../support/ranked-store-contract.js';
import { RankedStoreUser } from '../../support/ranked-store-user.js';
import { memoryPlace, sqlitePlace } from '../../support/store-subject.js';
import { until } from '../../support/until.js';

describeRankedStoreContract('SQLite', sqlitePlace);
describeRankedStoreContract('memory', memoryPlace);

describe('SQLite as a store of ranked records, left alone', () => {
  it('drops all tombstones that the other disk has, and tells what is left', async () => {
    const place = await sqlitePlace();
    const user = await RankedStoreUser.open(place.open);
    const changes = Array.from({ length: 3500 }, (_, at) => remove(`k${at}`, [1, at]));
    await user.commit(changes, { tombstones: 'all' });
    await user.commit([remove('later', [2, 1])], { tombstones: 'all' });
    await user.commit([], { peerHolds: user.transaction - 1 });
    await until(() => user.tombstones.keyBytes === 'later'.length, 'they are dropped');
    await user.close();
    await place.remove();
  });
});
