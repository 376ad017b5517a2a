/** What brokers of a shared store tell each other (D92). */
import { HINT_BYTES_MAX, packHint, tailOf, unpackHint } from '../../../src/store/hint-codec.js';
import { StageClaims } from '../../support/stage-claims.js';
import { requestOf } from '../../support/store-changes.js';
import {
  endTitanicStages,
  STAGE_WALL_MS,
  type TitanicStage,
  titanicStage,
} from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const PAUSE_MS = 5;
const ECHO = Buffer.from('echo');

function shared(): { readonly s: TitanicStage; readonly claims: StageClaims } {
  const claims = new StageClaims();
  const s = titanicStage({ claims });
  claims.answer();
  return { s, claims };
}

/** `stored echo, sum; ended 2` for each hint so far. */
function told({ hints }: StageClaims): string[] {
  return hints.splice(0).map(({ services, ended }) => {
    return `stored ${services.map(String).join(', ')}; ended ${ended.length}`;
  });
}

/** Another broker has stored this reply. */
function replies(s: TitanicStage, uuid: Buffer): void {
  const reply = Buffer.from([0, 1, 0x78]);
  const times = { at: s.wall, expiresAt: s.wall + 1e6 };
  s.store.disk.apply({ kind: 'reply', uuid, generation: 0, reply, worker: '9', ...times });
}

describe('hints', () => {
  it('tell of requests that no broker has claimed, at most one in 5 ms', () => {
    const { s, claims } = shared();
    s.submits('echo');
    expect(told(claims)).toEqual(['stored echo; ended 0']);
    s.submits('echo');
    s.submits('echo');
    s.submits('sum');
    s.after(PAUSE_MS - 1);
    expect(told(claims)).toEqual([]);
    s.after(1);
    expect(told(claims)).toEqual(['stored echo, sum; ended 0']);
    s.after(60_000);
    expect(told(claims)).toEqual([]);
  });

  it('do not tell of requests whose time has not come', () => {
    const { s, claims } = shared();
    s.submits('echo', 'later', { delayMs: 5000 });
    s.after(PAUSE_MS);
    expect(told(claims)).toEqual([]);
  });

  it('tell of requests that were replied or closed', () => {
    const { s, claims } = shared();
    const w = s.worker('w').ready('echo');
    claims.answer();
    const uuid = Buffer.from(s.submits('echo'), 'hex');
    // It was claimed with its acceptance: nobody else need know.
    expect(told(claims)).toEqual([]);
    w.final('done');
    expect(claims.hints).toEqual([{ services: [], ended: [tailOf(uuid)] }]);
    s.after(PAUSE_MS);
    told(claims);
    expect(s.asks('close', uuid.toString('hex'))).toBe('200');
    expect(told(claims)).toEqual(['stored ; ended 1']);
    w.disconnect();
  });

  it('tell nobody without a shared store, and of many requests only what fits', () => {
    const { s, claims } = shared();
    s.submits('first');
    for (let n = 0; n < 30; n++) s.submits(`${n}${'x'.repeat(250)}`);
    s.after(PAUSE_MS);
    const [, many] = claims.hints;
    const bytes = packHint(many ?? { services: [], ended: [] }).length;
    expect(bytes).toBeGreaterThan(HINT_BYTES_MAX - 260);
    // A NOTIFY carries less than 8000 bytes.
    expect(Math.ceil(bytes / 3) * 4).toBeLessThan(8000);
  });

  it('let a broker claim at once', () => {
    const { s, claims } = shared();
    const w = s.worker('w').ready('echo', { credit: 3 });
    claims.answer();
    s.after(100);
    expect(claims.isWaiting).toBe(false);
    s.input(() => s.titanic.hinted({ services: [Buffer.from('sum'), ECHO], ended: [] }));
    expect(claims.wanted).toEqual(['echo 3']);
    claims.answer();
    w.disconnect();
  });

  it('that come while a claim is under way cause another one', () => {
    const { s, claims } = shared();
    const w = s.worker('w').ready('echo', { credit: 3 });
    expect(claims.isWaiting).toBe(true);
    s.input(() => s.titanic.hinted({ services: [ECHO], ended: [] }));
    claims.answer();
    s.turn();
    expect(claims.wanted).toEqual(['echo 3']);
    claims.answer();
    w.disconnect();
  });

  it('let a broker look at once for what a client waits for, and for nothing else', () => {
    const { s } = shared();
    const times = { acceptedAt: STAGE_WALL_MS, notBefore: STAGE_WALL_MS };
    const [mine, other] = [1, 2].map((n) => requestOf(n, { ...times, expiresAt: s.wall + 1e6 }));
    for (const request of [mine, other]) {
      if (request === undefined) throw new Error('two requests');
      s.store.disk.apply({ kind: 'accept', request, body: Buffer.from([0, 1, 0x61]), key: null });
    }
    const [uuid = ECHO, another = ECHO] = [mine?.uuid, other?.uuid];
    expect(s.asks('wait', uuid.toString('hex'), '60000')).toBe('');
    replies(s, uuid);
    replies(s, another);
    s.input(() => s.titanic.hinted({ services: [], ended: [tailOf(another)] }));
    expect(s.hears()).toBe('');
    s.input(() => s.titanic.hinted({ services: [], ended: [tailOf(uuid)] }));
    expect(s.hears()).toBe('200|x');
  });
});

describe('a hint in bytes', () => {
  const hint = { services: [ECHO, Buffer.from([0, 255])], ended: [tailOf(Buffer.alloc(16, 7))] };

  it('is the same afterwards', () => {
    expect(unpackHint(packHint(hint))).toEqual(hint);
    expect(unpackHint(packHint({ services: [], ended: [] }))).toEqual({ services: [], ended: [] });
  });

  it('is refused when it was cut off, and never read past its end', () => {
    const bytes = packHint(hint);
    for (let length = 0; length < bytes.length; length++) {
      const part = unpackHint(bytes.subarray(0, length));
      // The services are whole, and there are no uuids.
      if (part !== null) expect(part).toEqual({ ...hint, ended: [] });
    }
    expect(unpackHint(Buffer.alloc(100, 0xff))).toBeNull();
  });
});
