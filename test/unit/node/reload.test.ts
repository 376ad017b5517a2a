import { refuseMixture, withTokensOf } from '../../../src/node/reload.js';
import { messageOf } from '../../../src/core/errors.js';
import { load } from '../config/support.js';

/** Why a node with the first configuration does not take the second one; `null`: it does. */
function refusal(running: string, read: string): string | null {
  try {
    refuseMixture(load({ text: running }).config, load({ text: read }).config);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

describe('a configuration that is read again', () => {
  it('is refused if a new value contradicts one that stays until a restart', () => {
    const store = 'titanic: {store: "postgresql://majordomo@127.0.0.1/queue"}\n';
    expect(refusal(store, 'limits: {messageBytes: 1GiB, outputBytes: 1GiB}')).toMatch(
      /^with titanic\.store as before, until a restart: limits\.messageBytes: 1GiB is too much/,
    );
    const map = 'map: {listen: "tcp://127.0.0.1:5570"}\n';
    expect(refusal(map, 'limits: {memoryBytes: 64MiB, mapBytes: 128MiB}')).toMatch(
      /^with map\.listen as before, until a restart: limits\.mapBytes: 128MiB are more than/,
    );
  });

  it('is taken if what changes at once agrees with what stays', () => {
    const store = 'titanic: {store: "postgresql://majordomo@127.0.0.1/queue"}\n';
    expect(refusal(store, 'limits: {messageBytes: 64MiB}')).toBe(null);
    expect(refusal('', `${store}limits: {messageBytes: 32MiB}`)).toBe(null);
  });
});

it('tokens that stay, because the new ones were refused, keep the quotas that they name', () => {
  const tokens =
    '{tokens: [{name: shop, role: request, client: [echo], tokenFile: /run/shop, quota: small}]}';
  const quotas = '{small: {requestsPerSecond: 1}, other: {}}';
  const before = load({ text: `{http: ${tokens}, limits: {quotas: ${quotas}}}` }).config;
  const kept = withTokensOf(before, load({ text: '{}' }).config);
  expect(kept.http.tokens).toMatchObject([{ name: 'shop', quota: 'small' }]);
  expect(Object.keys(kept.limits.quotas)).toEqual(['small']);
  expect(kept.limits.quotas).toMatchObject({ small: { requestsPerSecond: 1 } });
});
