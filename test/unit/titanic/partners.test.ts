import { Partners } from '../../../src/titanic/machine/requests/partners.js';
import { requestOf, uuidOf } from '../../support/store-changes.js';

const [R, W, OTHER] = [uuidOf(1), uuidOf(2), uuidOf(3)];
const REQUEST = requestOf(1, { partner: W });
const WEBHOOK = requestOf(2, { kind: 'webhook', partner: R });

describe('which webhook tells of which request', () => {
  it('is known while either of them is open', () => {
    for (const first of [REQUEST, WEBHOOK]) {
      const partners = new Partners();
      partners.opened(first);
      expect(partners.webhookOf(R)).toEqual(W);
      partners.opened(first === REQUEST ? WEBHOOK : REQUEST);
      for (const [closed, left] of [
        [R, W],
        [W, null],
      ] as const) {
        partners.closed(closed);
        expect(partners.webhookOf(R)).toEqual(left);
      }
      expect([partners.requestOf(W), partners.all()]).toEqual([null, []]);
    }
  });

  it('is known of a request that is open, whatever becomes of a webhook that was claimed before', () => {
    const partners = new Partners();
    partners.opened(WEBHOOK);
    partners.opened(REQUEST);
    partners.closed(W);
    expect(partners.webhookOf(R)).toEqual(W);
    partners.closed(R);
    expect(partners.webhookOf(R)).toBeNull();
  });

  it('is what the request says, if a webhook of a damaged store tells of it, too', () => {
    const partners = new Partners();
    partners.opened(requestOf(3, { kind: 'webhook', partner: R }));
    partners.opened(WEBHOOK);
    partners.opened(REQUEST);
    expect(partners.webhookOf(R)).toEqual(W);
    for (const uuid of [R, OTHER, W]) partners.closed(uuid);
    expect([partners.webhookOf(R), partners.all()]).toEqual([null, []]);
  });
});
