/**
 * What outlives the message that it came with is a copy that keeps nothing else in memory. Node's pool, or the buffer of
 * a whole message, stays as long as a view of it does, and a peer decides what lies between two views.
 */
import { secureRandom } from '../../../src/core/random.js';
import { mayRequest } from '../../../src/broker/admission/access.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { RequestCounters } from '../../../src/broker/request-counters.js';
import { EVERYTHING } from '../../../src/broker/rights.js';
import { Grants } from '../../../src/broker/state/entities.js';
import { Identities } from '../../../src/broker/state/identities.js';
import { RequestTable } from '../../../src/broker/state/request-table.js';
import { Gates } from '../../../src/broker/state/gates.js';
import { ServiceTable } from '../../../src/broker/state/service-table.js';
import { Frames } from '../../../src/core/frames.js';
import { GlobSet } from '../../../src/core/glob.js';
import { Holdings } from '../../../src/core/holdings.js';
import { OpenIndex } from '../../../src/titanic/machine/requests/open-index.js';
import { OpenServices } from '../../../src/titanic/machine/requests/open-services.js';
import { Partners } from '../../../src/titanic/machine/requests/partners.js';
import { StoredServices } from '../../../src/titanic/machine/requests/stored-services.js';
import { ownOf, packOwn } from '../../../src/store/own-fields.js';
import { ANONYMOUS } from '../../../src/store/request.js';
import { requestOf, uuidOf } from '../../support/store-changes.js';
import { endTitanicStages, titanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

/** Bytes in the middle of a larger buffer. */
function view(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(1000), bytes, Buffer.alloc(1000)]).subarray(1000, -1000);
}

const NAME = view(Buffer.from('echo'));
const UUID = view(uuidOf(1));
const { services: counted } = new RequestCounters();

function serviceTable(): ServiceTable {
  const identities = new Identities(new Holdings(), () => NO_QUOTAS);
  return new ServiceTable(
    new RequestTable(),
    secureRandom,
    counted,
    identities,
    new Gates(0, new Holdings().use('x')),
  );
}

it.each<[string, () => Buffer | null | undefined]>([
  [
    'the name of a service',
    () => {
      const identities = new Identities(new Holdings(), () => NO_QUOTAS);
      return serviceTable().add(NAME, identities.join('ip', null, null)).name;
    },
  ],
  ['that of a paused one', () => serviceTable().setPaused(NAME, true)?.name],
  [
    'the service that a client last requested',
    () => {
      const client = GlobSet.of(['ec*']);
      const grants = new Grants({ ...EVERYTHING, client }, null);
      mayRequest(grants, Frames.of(NAME), 0);
      return grants.lastAllowed;
    },
  ],
  [
    'a service with open durable requests',
    () => new OpenServices(new OpenIndex(secureRandom)).findOrAdd(NAME, ANONYMOUS).name,
  ],
  [
    'one for which some are stored',
    () => {
      const stored = new StoredServices(counted);
      stored.update([{ service: NAME, pending: 1, retrying: 0, replied: 0, dead: 0 }]);
      return stored.of(NAME)?.service;
    },
  ],
  ...[['reply'], ['wait', '1000'], ['progress', '', '1000'], ['close']].map(
    ([service, ...wait]): [string, () => Buffer | undefined] => [
      `the uuid of a request for titanic.${service}`,
      () => {
        const s = titanicStage().holdsStore();
        s.client('alice').request(`titanic.${service}`, UUID.toString('hex'), ...wait);
        const [asked] = s.store.asked;
        s.freesStore();
        if (asked?.kind === 'lookUp') return asked.uuid;
        const [change] = asked?.kind === 'commit' ? asked.changes : [];
        return change?.kind === 'close' ? change.uuid : undefined;
      },
    ],
  ),
  [
    'the uuid of a webhook',
    () => {
      const partners = new Partners();
      partners.opened(requestOf(2, { partner: UUID }));
      return partners.webhookOf(uuidOf(2));
    },
  ],
  [
    'the service of a schedule',
    () => {
      const own = { name: 'daily', cron: '0 0 * * *', timeZone: 'UTC', service: NAME };
      return ownOf('schedule', packOwn('schedule', own))?.service;
    },
  ],
])('%s keeps nothing else', (_, kept) => {
  const bytes = kept();
  expect(bytes?.length).toBeGreaterThan(0);
  expect(bytes?.buffer.byteLength).toBe(bytes?.length);
});
