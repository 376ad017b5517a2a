import { describe, it } from '@jest/globals';

import { describeMapStoreContract, remove } from '../../support/map-store-contract.js';
import { MapStoreUser } from '../../support/map-store-user.js';
import { memoryPlace, sqlitePlace } from '../../support/store-subject.js';
import { until } from '../../support/until.js';

describeMapStoreContract('SQLite', sqlitePlace);
describeMapStoreContract('memory', memoryPlace);

describe('SQLite as a store of the map, left alone', () => {
  it('drops all tombstones that the other disk has, and tells what is left', async () => {
    const place = await sqlitePlace();
    const user = await MapStoreUser.open(place.open);
    const changes = Array.from({ length: 3500 }, (_, at) => remove(`k${at}`, [1, at]));
    await user.commit(changes, { tombstones: 'all' });
    await user.commit([remove('later', [2, 1])], { tombstones: 'all' });
    await user.commit([], { peerHolds: user.transaction - 1 });
    await until(() => user.tombstoneBytes === 'later'.length + 128, 'they are dropped');
    await user.close();
    await place.remove();
  });
});
