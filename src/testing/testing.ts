/**
 * For tests of clients and workers: a broker in the same process.
 * @module
 */
export { FakeClock } from './fake-clock.js';
export { startTestBroker, type TestBroker, type TestBrokerOptions } from './test-broker.js';
