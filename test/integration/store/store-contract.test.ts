import { describeStoreContract } from '../../support/store-contract.js';
import { memoryPlace, sqlitePlace } from '../../support/store-subject.js';

describeStoreContract('SQLite', sqlitePlace);
describeStoreContract('memory', memoryPlace);
