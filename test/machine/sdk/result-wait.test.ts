import type { MajordomoError } from '../../../src/core/errors.js';
import { sdkError, type SdkErrorCode } from '../../../src/sdk/errors.js';
import { ResultWait } from '../../../src/sdk/jobs/result-wait.js';

const UUID = '0123456789ABCDEF0123456789ABCDEF';

/** A wait in virtual time: what brokers say goes in, questions and the end come out as lines. */
class Script {
  now = 0;
  error: MajordomoError | null = null;
  readonly #lines: string[] = [];
  readonly #wait: ResultWait;
  /** What `giveUp` finds: how the question that is out stood. */
  standing: SdkErrorCode = 'ERR_MDP_TIMEOUT';

  constructor(offersWait: boolean | null, timeoutMs = Infinity, storeMs: number | null = null) {
    this.offers = offersWait;
    this.#wait = new ResultWait(
      {
        ...{ service: 'pay', timeoutMs, retryBaseMs: 100, retryMaxMs: 2000 },
        uuid: storeMs === null ? UUID : null,
        storeMs: storeMs ?? Infinity,
        offersWait: () => this.offers,
        offersFail: () => this.offersFail,
        why: () => this.why,
      },
      {
        ask: (question, waitMs) => this.#say(question === 'wait' ? `wait ${waitMs}` : question),
        askWhy: () => this.#say('ask why'),
        giveUp: () => {
          this.#say('give up');
          this.fail(this.standing);
        },
        done: (frames) => this.#say(`done ${frames.map(String).join('|')}`),
        fail: (error) => {
          this.error = error;
          this.#say(`fail ${error.code}`);
        },
      },
      // Without jitter a pause is half of the whole.
      () => 0,
    );
    this.#wait.start(0);
  }

  offers: boolean | null;
  offersFail = false;
  why = '';

  get effects(): string[] {
    return this.#lines.splice(0);
  }

  answer(...frames: string[]): this {
    const buffers = frames.map((frame) => Buffer.from(frame));
    this.#wait.answered(buffers, this.now);
    return this;
  }

  stores(): this {
    this.#wait.stored(UUID, this.now);
    return this;
  }

  fail(code: SdkErrorCode): this {
    this.#wait.failed(sdkError(code, 'as scripted'), this.now);
    return this;
  }

  pass(ms: number): this {
    const end = this.now + ms;
    for (let due = this.#wait.nextMs(); due <= end; due = this.#wait.nextMs()) {
      this.now = Math.max(this.now, due);
      this.#wait.tick(this.now);
    }
    this.now = end;
    return this;
  }

  get isQuiet(): boolean {
    return this.#wait.nextMs() === Infinity;
  }

  #say(line: string): void {
    this.#lines.push(`${this.now} ${line}`);
  }
}

describe('the wait for a reply where titanic.wait is offered (D16)', () => {
  it('asks for half a minute at a time, one question after the other, until the reply', () => {
    const script = new Script(true);
    script.pass(30_000).answer('300').pass(30_000).answer('300').pass(5).answer('200', 'a', 'b');
    expect(script.effects).toEqual([
      '0 wait 30000',
      '30000 wait 30000',
      '60000 wait 30000',
      '60005 done a|b',
    ]);
    expect(script.isQuiet).toBe(true);
  });

  it('asks for no longer than it has, and is pending at its end', () => {
    const script = new Script(true, 45_000);
    script.pass(30_000).answer('300 PENDING').pass(15_000);
    expect(script.effects).toEqual([
      '0 wait 30000',
      '30000 wait 15000',
      '44500 ask why',
      '45000 give up',
      '45000 fail ERR_TITANIC_PENDING',
    ]);
    expect(script.error).toMatchObject({ details: { uuid: UUID } });
  });

  it('does not poll a broker that answers 300 at once: pauses grow, up to retryMaxMs', () => {
    const script = new Script(true);
    for (let time = 0; time < 8; time++) script.answer('300').pass(1000);
    const asked = script.effects.map((line) => Number(line.split(' ')[0]));
    expect(asked).toEqual([0, 50, 1100, 2200, 3400, 4800, 6000, 7000, 8000]);
  });

  it.each<[string, string]>([
    ['400 unknown', 'ERR_TITANIC_UNKNOWN'],
    ['500 dead after 3 attempts', 'ERR_TITANIC_DEAD'],
    ['501', 'ERR_TITANIC_REFUSED'],
    ['rubbish', 'ERR_TITANIC_REFUSED'],
  ])('%s is %s', (status, code) => {
    const script = new Script(true).answer(status);
    // 501: the broker has no titanic.wait after all.
    if (status === '501') script.answer(status);
    expect(script.error).toMatchObject({ code });
    expect(script.error?.details).toMatchObject({ uuid: UUID });
    expect(script.isQuiet).toBe(true);
  });

  it('ends by a death, and not by other trouble, where failures are told (D63)', () => {
    const script = new Script(true);
    script.offersFail = true;
    script.answer('500 nothing can be stored').pass(50).answer('500').pass(100);
    script.answer('500 dead exit-3: card declined', 'detail');
    expect(script.error).toMatchObject({
      ...{ code: 'ERR_SERVICE_FAILED', service: 'pay', serviceCode: 'exit-3' },
      ...{ message: 'card declined', detail: [Buffer.from('detail')] },
    });
  });

  it('ends by ERR_TITANIC_DEAD where no worker said why', () => {
    const script = new Script(true);
    script.offersFail = true;
    script.answer('500 dead mdp.no-reply: after 3 attempts, the last: expired');
    expect(script.error).toMatchObject({ code: 'ERR_TITANIC_DEAD' });
  });

  it('lives through brokers that are silent, away or refuse, as long as it has time', () => {
    const script = new Script(true, 60_000);
    script.fail('ERR_MDP_TIMEOUT').pass(50).fail('ERR_MDP_REFUSED').pass(100);
    script.fail('ERR_MDP_UNREACHABLE').pass(200).answer('200', 'x');
    expect(script.effects).toEqual([
      '0 wait 30000',
      '50 wait 30000',
      '150 wait 30000',
      '350 wait 30000',
      '350 done x',
    ]);
  });

  it.each<SdkErrorCode>(['ERR_MDP_UNREACHABLE', 'ERR_MDP_REFUSED'])(
    'that nobody ever answered ends with %s, which tells more than pending',
    (code) => {
      const script = new Script(true, 1000);
      script.standing = code;
      script.pass(1000);
      expect(script.error).toMatchObject({ code });
    },
  );

  it('that was told 300 before is pending, and the cause says what came then', () => {
    const script = new Script(true, 40_000);
    script.standing = 'ERR_MDP_UNREACHABLE';
    script.pass(30_000).answer('300').pass(10_000);
    expect(script.error).toMatchObject({
      code: 'ERR_TITANIC_PENDING',
      cause: { code: 'ERR_MDP_UNREACHABLE' },
    });
  });

  it('whose broker cannot reach its store is pending, and the message says so', () => {
    const script = new Script(true, 100);
    script.offersFail = true;
    script.answer('500 the store cannot be reached').pass(100);
    expect(script.error).toMatchObject({
      code: 'ERR_TITANIC_PENDING',
      message: `no reply to the durable request ${UUID} within 100 ms; the broker last answered 500 the store cannot be reached`,
    });
  });

  it('forgets what was wrong when the request is pending again', () => {
    const script = new Script(true, 1000);
    script.offersFail = true;
    script.answer('500 the store cannot be reached').pass(50).answer('300').pass(950);
    expect(script.error?.message).toMatch(/within 1000 ms$/);
  });

  it.each<SdkErrorCode>(['ERR_MDP_CLOSED', 'ERR_MDP_LIMIT'])('%s ends it at once', (code) => {
    const script = new Script(true).fail(code);
    expect(script.error).toMatchObject({ code });
    expect(script.isQuiet).toBe(true);
  });
});

describe('the wait for a reply at other brokers (9/TSP)', () => {
  it('polls titanic.reply with pauses that grow', () => {
    const script = new Script(false, 10_000);
    script.answer('300').pass(50).answer('300').pass(100).answer('300').pass(200);
    script.answer('200', 'x');
    expect(script.effects).toEqual(['0 reply', '50 reply', '150 reply', '350 reply', '350 done x']);
  });

  it('first asks what is offered, if that is not known', () => {
    const script = new Script(null);
    script.offers = true;
    script.answer('200', '{}');
    expect(script.effects).toEqual(['0 offers', '0 wait 30000']);
  });

  it('polls where the broker is silent to that question, or knows nothing of it', () => {
    const silent = new Script(null).fail('ERR_MDP_TIMEOUT').pass(50);
    expect(silent.effects).toEqual(['0 offers', '50 reply']);
    expect(new Script(null).answer('501').effects).toEqual(['0 offers', '0 reply']);
  });

  it('asks again what is offered when no broker could be reached', () => {
    const script = new Script(null).fail('ERR_MDP_UNREACHABLE').pass(50);
    expect(script.effects).toEqual(['0 offers', '50 offers']);
  });

  it('polls where wait was offered and is not known (501)', () => {
    const script = new Script(true).answer('501').answer('200', 'x');
    expect(script.effects).toEqual(['0 wait 30000', '0 reply', '0 done x']);
  });
});

describe('a wait for a reply whose time is nearly over (mmi.why)', () => {
  it('asks why there is none, once, and says what was answered', () => {
    const script = new Script(true, 10_000);
    script.why = ': no worker serves it';
    expect(script.effects).toEqual(['0 wait 10000']);
    script.pass(9500);
    expect(script.effects).toEqual(['9500 ask why']);
    script.pass(500).answer('300');
    expect(script.effects).toEqual(['10000 give up', '10000 fail ERR_TITANIC_PENDING']);
    expect(script.error?.message).toMatch(/within 10000 ms: no worker serves it$/);
    expect(script.isQuiet).toBe(true);
  });
});

describe('a request that is stored and waited for in one exchange (D122)', () => {
  /** It may take 10 s to be stored. */
  function calling(timeoutMs = Infinity): Script {
    return new Script(true, timeoutMs, 10_000);
  }

  it('waits at the broker as long as that lets it, without a further question', () => {
    const script = calling().pass(5).stores().pass(50_000).answer('200', 'a');
    expect(script.effects).toEqual(['0 call', '50005 done a']);
  });

  it('asks with titanic.wait when the broker waits no longer', () => {
    const script = calling().stores().pass(60_000).answer('300').pass(5).answer('200', 'a');
    expect(script.effects).toEqual(['0 call', '60000 wait 30000', '60005 done a']);
  });

  it('asks with titanic.wait, too, if there is no answer after the receipt', () => {
    const script = calling().pass(5).stores().pass(70_100).answer('200', 'a');
    expect(script.effects).toEqual(['0 call', '70005 give up', '70055 wait 30000', '70105 done a']);
  });

  it('pauses if the broker does not wait at all', () => {
    const script = calling().stores().answer('300').pass(50);
    expect(script.effects).toEqual(['0 call', '50 wait 30000']);
  });

  it('goes on with its uuid once it is stored, whatever ends the exchange', () => {
    const codes = ['ERR_MDP_TIMEOUT', 'ERR_MDP_UNREACHABLE', 'ERR_MDP_REFUSED'] as const;
    for (const code of [...codes, 'ERR_MDP_STREAM_BROKEN'] as const) {
      const script = calling().stores().fail(code).pass(50);
      expect(script.effects).toEqual(['0 call', '50 wait 30000']);
    }
    // The other node of a pair is older.
    expect(calling().stores().answer('501').effects).toEqual(['0 call', '0 wait 30000']);
  });

  it.each<[string, string]>([
    ['400 no body', 'ERR_TITANIC_REFUSED'],
    ['409 the key was used for another', 'ERR_TITANIC_KEY_REUSED'],
    ['500 titanic.maxOpen is reached', 'ERR_TITANIC_REFUSED'],
    ['501', 'ERR_TITANIC_REFUSED'],
  ])('is not stored: %s', (status, code) => {
    const script = calling().answer(status);
    expect(script.effects).toEqual(['0 call', `0 fail ${code}`]);
    expect(script.isQuiet).toBe(true);
  });

  it('has a time to be stored, and then one for the whole', () => {
    expect(calling().pass(60_000).effects).toEqual([
      '0 call',
      '10000 give up',
      '10000 fail ERR_MDP_TIMEOUT',
    ]);
    const script = calling(12_000).pass(5000).stores().pass(60_000);
    expect(script.effects).toEqual([
      '0 call',
      '11500 ask why',
      '12000 give up',
      '12000 fail ERR_TITANIC_PENDING',
    ]);
    expect(script.error).toMatchObject({ details: { uuid: UUID } });
  });
});
