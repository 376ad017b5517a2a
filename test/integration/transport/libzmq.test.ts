import { dialLibzmq } from '../../../src/transport/libzmq/link.js';
import { openLibzmqRouter } from '../../../src/transport/libzmq/router.js';
import { describeTransportContract } from '../../support/transport-contract.js';

describeTransportContract('libzmq', { open: openLibzmqRouter, dial: dialLibzmq });
