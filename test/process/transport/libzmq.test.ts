import { capability } from 'zeromq';
import { dialLibzmq } from '../../../src/zmtp/libzmq/link.js';
import { openLibzmqRouter } from '../../../src/extensions/libzmq/router.js';
import { PeerNumbers } from '../../../src/zmtp/port.js';
import { describeTransportContract } from '../../support/transport-contract.js';
import { LateEvents, LIMITS } from '../../support/transport-fixture.js';

describeTransportContract('libzmq', { open: openLibzmqRouter, dial: dialLibzmq }, false);

it('knows whether this libzmq reports the end of a connection at once (D15)', async () => {
  const opened = await openLibzmqRouter({
    listeners: [{ endpoint: 'tcp://127.0.0.1:0', index: 0 }],
    limits: LIMITS,
    peers: new PeerNumbers(),
    events: new LateEvents(),
  });
  expect(opened.reportsDisconnects).toBe(capability.draft === true);
  await opened.transport.close(0);
});
