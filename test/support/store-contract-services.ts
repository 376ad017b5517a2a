import { RequestCounters } from '../../src/broker/request-counters.js';
import { StoredServices } from '../../src/titanic/machine/requests/stored-services.js';
import type { Change, ServiceCount, StoreCounts } from '../../src/store/store.js';
import {
  accept,
  attempt,
  close,
  DAY_MS,
  dead,
  expire,
  NOON,
  reply,
  retry,
  sweep,
} from './store-changes.js';
import type { Subject } from './store-contract.js';
import { packed, StorePair } from './store-pair.js';

const body = packed('body');
/** Not the beginning of a name, and not UTF-8. */
const ODD = Buffer.from([0xff, 0x00, 0x2f]);

function of(service: string | Buffer, n: number): Change {
  return accept(n, { body, service: Buffer.from(service) });
}

/** `echo 2 1 0 0`: pending, of them retrying, replied, dead. */
function textsOf(services: Iterable<ServiceCount>): string[] {
  return [...services]
    .filter(({ pending, replied, dead: died }) => pending + replied + died > 0)
    .map(({ service, pending, retrying, replied, dead: died }) =>
      [service.toString('latin1'), pending, retrying, replied, died].join(' '),
    )
    .sort();
}

export function describeStoreServices(subject: Subject): void {
  it('what each has is counted, with every change, and is known when the store is opened', async () => {
    const kept = new StoredServices(new RequestCounters().services);
    const after = async (...changes: readonly Change[]): Promise<string[]> => {
      const outcome = await subject.user.tryCommit(changes);
      const told: StoreCounts['services'] = 'counts' in outcome ? outcome.counts.services : [];
      kept.update(told);
      const { recovered } = await subject.reopen();
      const known = textsOf(recovered.counts.services);
      expect(textsOf(kept.services.values())).toEqual(known);
      return known;
    };
    expect(await after(of('echo', 1), of('echo', 2), of(ODD, 3))).toEqual([
      'echo 2 0 0 0',
      '\xff\x00/ 1 0 0 0',
    ]);
    expect(await after(attempt(1, 1), attempt(1, 2), attempt(3, 1), of('echo', 4))).toEqual([
      'echo 3 1 0 0',
      '\xff\x00/ 1 1 0 0',
    ]);
    expect(await after(reply(1), dead(2), close(3))).toEqual(['echo 1 0 1 1']);
    expect(await after(retry(2, 1), attempt(2, 1, 1), reply(1, { generation: 0 }))).toEqual([
      'echo 2 1 1 0',
    ]);
    expect(await after(dead(2, { generation: 1 }), retry(2, 2), expire(4))).toEqual([
      'echo 1 0 1 0',
    ]);
    const over = await after(dead(2, { generation: 2 }), sweep(NOON + 30 * DAY_MS));
    expect(over).toEqual([]);
  });

  it('what was tried before it was settled does not wait for another attempt, also when it ends', async () => {
    const { user } = subject;
    const changes: readonly Change[] = [
      ...[1, 2, 3, 4].map((n) => of('echo', n)),
      ...[1, 2, 3, 4].map((n) => attempt(n, 1)),
      ...[reply(1), dead(2), dead(3), dead(4)],
      ...[close(1), close(2), reply(3), retry(4)],
    ];
    for (const change of changes) await user.commit(change);
    const told = user.reported;
    expect((await subject.reopen()).reported).toEqual(told);
  });

  it('what a batch changes and changes back is the same', async () => {
    await subject.user.commit(of('echo', 1));
    await subject.user.commit(of('echo', 2), reply(2), close(2), of('brief', 3), close(3));
    const { recovered } = await subject.reopen();
    expect(textsOf(recovered.counts.services)).toEqual(['echo 1 0 0 0']);
  });
}

export function describeServicesOfPair(subject: Subject): void {
  it('what each has is counted after a merge, too', async () => {
    const other = await subject.other();
    const pair = new StorePair(subject.user, other);
    await pair.apart(0, [of('echo', 1), of('echo', 2), of('sum', 3), attempt(1, 1)]);
    await pair.join(0, 100);
    await pair.apart(1, [reply(1, { reply: body }), dead(2), close(3), of('new', 4)]);
    await pair.apart(0, [attempt(2, 1), attempt(3, 1)]);
    await pair.join(0, 2);
    const { recovered } = await subject.reopen();
    expect(textsOf(recovered.counts.services)).toEqual(['echo 0 0 1 1', 'new 1 0 0 0']);
    const theirs = await other.tryCommit([of('echo', 5), attempt(4, 1)]);
    expect('counts' in theirs && textsOf(theirs.counts.services)).toEqual([
      'echo 1 0 1 1',
      'new 1 1 0 0',
    ]);
  });
}
