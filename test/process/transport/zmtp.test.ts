import { dialZmtp } from '../../../src/transport/zmtp/link.js';
import { openZmtpRouter } from '../../../src/transport/zmtp/router.js';
import { describeTransportContract } from '../../support/transport-contract.js';

describeTransportContract('zmtp', { open: openZmtpRouter, dial: dialZmtp }, true);
