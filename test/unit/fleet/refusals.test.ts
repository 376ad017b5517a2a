import { isRefusal } from '../../../src/extensions/fleet/io/connect.js';

/** An error of Node, or of the library for NATS. */
function failed(text: string, facts: { readonly code?: string; readonly name?: string }): Error {
  return Object.assign(new Error(text), facts);
}

describe('an error of a connection to NATS', () => {
  it.each([
    ['getaddrinfo ENOTFOUND tls-nats.test', 'ENOTFOUND'],
    ['getaddrinfo EAI_AGAIN certificates.test', 'EAI_AGAIN'],
    ['getaddrinfo ENOTFOUND nkey.credentials.test', 'ENOTFOUND'],
    ['connect ECONNREFUSED /run/ssl', 'ECONNREFUSED'],
    [
      'Client network socket disconnected before secure TLS connection was established',
      'ECONNRESET',
    ],
  ])('is no refusal if no server answered, whatever its host is called: %s', (text, code) => {
    expect(isRefusal(failed(text, { code }))).toBe(false);
  });

  it.each([
    ['self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }],
    [
      "Host: h. is not in the cert's altnames: certificate",
      { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    ],
    ['tlsv13 alert certificate required', { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' }],
    ['write EPROTO: SSL routines: wrong version number', { code: 'EPROTO' }],
    ["'tls' is not available on this server", { name: 'InvalidArgumentError' }],
    ['Authorization Violation', { name: 'AuthorizationError' }],
    ['Secure Connection - TLS Required', { name: 'ProtocolError' }],
    ['unable to parse credentials', {}],
  ])('is one if the server was there: %s', (text, facts) => {
    expect(isRefusal(failed(text, facts))).toBe(true);
  });
});
