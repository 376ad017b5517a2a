import { FACTORY } from '../../support/transport-fixture.js';
import { describeTransportContract } from '../../support/transport-contract.js';

describeTransportContract('zmtp', FACTORY, true);
