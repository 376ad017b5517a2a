/** Records of a kind that only a later version knows: a rolling upgrade leaves them with a node of this one. */
import type { ShownHistory, ShownPage } from '../../../src/titanic/operator/operator-api.js';
import { packed } from '../../support/store-pair.js';
import { accept, DAY_MS, dead, uuidOf } from '../../support/store-changes.js';
import { selectionOf } from '../../support/stage-queries.js';
import { endTitanicStages, STAGE_WALL_MS, titanicStage } from '../../support/titanic-stage.js';

const UUID = uuidOf(1);

afterEach(endTitanicStages);

function restarted(): ReturnType<typeof titanicStage> {
  const s = titanicStage();
  const body = packed('x');
  const times = { acceptedAt: STAGE_WALL_MS, notBefore: STAGE_WALL_MS };
  const expiresAt = STAGE_WALL_MS + DAY_MS;
  s.store.disk.apply(accept(1, { kind: 'kind-9', body, ...times, expiresAt }));
  return s.crashes();
}

describe('a record of a kind that only a later version knows', () => {
  it('is not run, does not expire, and is counted apart', () => {
    const s = restarted();
    const worker = s.worker('w').ready('echo').heartbeatsEvery(500);
    s.after(2 * DAY_MS);
    expect(worker.inbox()).toEqual([]);
    expect(s.store.disk.row(UUID)?.request).toMatchObject({ kind: 'kind-9', state: 'pending' });
    expect(s.titanic.figures.counts).toMatchObject({ pending: 0, schedules: 0, later: 1 });
  });

  it('is shown as such, with why it waits', () => {
    const s = restarted();
    const page = s.operates<ShownPage>((operator, answer) => {
      operator.list({ ...selectionOf(), limit: 9 }, answer);
    });
    expect(page()).toMatchObject({ value: { requests: [{ kind: 'kind-9', state: 'pending' }] } });
    const history = s.operates<ShownHistory>((operator, answer) => operator.history(UUID, answer));
    expect(history()).toMatchObject({ value: { waiting: { reason: 'unknown_kind' } } });
  });

  it('is not retried once it is dead', () => {
    const s = restarted();
    s.store.disk.apply(dead(1));
    const retried = s.operates<null>((operator, answer) => operator.retry(UUID, 'alice', answer));
    expect(retried()).toEqual({ kind: 'state', text: 'only requests and webhooks can be retried' });
    expect(s.store.disk.row(UUID)?.request.state).toBe('dead');
  });

  it('stays when many are cancelled, and goes when it is cancelled by its uuid', () => {
    const s = restarted();
    s.operates((operator, answer) => {
      operator.many.run('cancel', selectionOf({ state: 'pending' }), 100, 'alice', answer);
    });
    s.after(1000);
    expect(s.store.disk.row(UUID)).toBeDefined();
    s.operates<null>((operator, answer) => operator.cancel(UUID, 'alice', answer));
    expect(s.store.disk.row(UUID)).toBeUndefined();
  });
});
