import { MemoryMapDisk } from '../../../src/testing/memory-map-store.js';
import { describeMapStoreContract } from '../../support/map-store-contract.js';

describeMapStoreContract('memory', () => {
  const disk = new MemoryMapDisk({
    schedule: (_, run) => {
      setImmediate(run);
    },
  });
  return Promise.resolve({ open: disk.openStore, remove: () => Promise.resolve() });
});
