import type { ClaimedRequest } from '../../../src/store/store.js';
import { StageClaims } from '../../support/stage-claims.js';
import { StageReplica } from '../../support/stage-replica.js';
import { requestOf } from '../../support/store-changes.js';
import { packed } from '../../support/store-pair.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  type TitanicStage,
  titanicStage,
} from '../../support/titanic-stage.js';

const POLL_MS = 250;

afterEach(endTitanicStages);

function claimed(s: TitanicStage, n: number): ClaimedRequest {
  const body = packed(`body ${n}`);
  const times = { acceptedAt: STAGE_WALL_MS, notBefore: STAGE_WALL_MS };
  const request = requestOf(n, { ...times, bodyBytes: body.length, expiresAt: s.wall + 600_000 });
  s.store.disk.apply({ kind: 'accept', request, body, key: null });
  return { request, claim: 2, content: { body, headers: null, backoff: null }, isTurn: false };
}

describe('a broker without a session with the store that others use, too', () => {
  it('sends no worker what it has claimed, also not what waits for one already (D19)', () => {
    const claims = new StageClaims();
    const replica = new StageReplica();
    const s = titanicStage({ claims, replica });
    claims.answer();
    const w = s.worker('w').ready('echo').heartbeatsEvery(500);
    claims.answer(claimed(s, 1));
    s.after(POLL_MS);
    claims.answer(claimed(s, 2));
    s.turn();
    expect(w.inbox()).toEqual(['REQUEST body 1']);
    replica.refusal = 'this broker could not renew its session';
    w.final('done');
    s.after(100);
    expect(w.inbox()).toEqual([]);
    replica.refusal = null;
    s.after(100);
    expect(w.inbox()).toEqual(['REQUEST body 2']);
    w.final('done');
    s.after(100);
  });
});
