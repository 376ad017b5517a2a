import { dialZmtp } from '../../../src/zmtp/link.js';
import { openZmtpRouter } from '../../../src/zmtp/router/router.js';
import { describeTransportContract } from '../../support/transport-contract.js';

describeTransportContract('zmtp', { open: openZmtpRouter, dial: dialZmtp }, true);
