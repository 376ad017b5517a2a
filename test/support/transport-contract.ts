import type { TransportFactory } from './transport-fixture.js';
import { describeCurve } from './transport-curve-contract.js';
import { describeLink } from './transport-link-contract.js';
import { describeListening } from './transport-listen-contract.js';
import { describeRouter } from './transport-router-contract.js';

/**
 * The promises of every transport behind `src/zmtp/port.ts`, tested against libzmq's own
 * sockets and bytes written by hand.
 * @param knowsKeys whether it reports which key a peer used
 */
export function describeTransportContract(
  name: string,
  factory: TransportFactory,
  knowsKeys: boolean,
): void {
  describe(`${name} as a transport`, () => {
    describe('ROUTER', () => describeRouter(factory));
    describe('endpoints', () => describeListening(factory));
    describe('link', () => describeLink(factory));
    describe('CURVE', () => describeCurve(factory, knowsKeys));
  });
}
