import { dialZmtp } from '../../../src/transport/zmtp/link.js';
import { openZmtpRouter } from '../../../src/transport/zmtp/router.js';
import { describeTransportContract } from '../../support/transport-contract.js';

describeTransportContract('zmtp', {
  open: (options) =>
    openZmtpRouter({
      ...options,
      limits: { ...options.limits, connectionsMax: 1000, receiveBytesMax: 256 << 20 },
    }),
  dial: dialZmtp,
});
