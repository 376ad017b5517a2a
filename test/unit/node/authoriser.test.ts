/** Keys that a service of the broker lets in: one question a key, its answer kept, bounds for all. */
import type { KeyAnswer } from '../../../src/config/authoriser-answer.js';
import { question, readAnswer } from '../../../src/config/authoriser-answer.js';
import type { AuthoriserEvent } from '../../../src/admin/log/process-events.js';
import { ASKED_MAX, Authoriser, type AuthoriserHost } from '../../../src/node/authoriser.js';

const HERE = '10.0.0.1';
const ASKED_PER_ADDRESS_MAX = 32;
const ANSWER_MS = 5000;
const SILENT_MS = 1000;

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(32);
  key.writeUInt32BE(number, 28);
  return key;
}

class Node implements AuthoriserHost {
  isServing = true;
  readonly asked: Buffer[] = [];
  readonly told: AuthoriserEvent[] = [];
  readonly revokedKeys: string[] = [];
  readonly changedNames: string[] = [];
  readonly service = 'auth';
  readonly connected = new Set<string>();

  ask(publicKey: Buffer): void {
    this.asked.push(publicKey);
  }

  isTaken(name: string): boolean {
    return name === 'alice';
  }

  isConnected(name: string): boolean {
    return this.connected.has(name);
  }

  changed(name: string): void {
    this.changedNames.push(name);
  }

  revoked(publicKey: string): void {
    this.revokedKeys.push(publicKey);
  }

  report(event: AuthoriserEvent): void {
    this.told.push(event);
  }
}

let node: Node;
let authoriser: Authoriser;

beforeEach(() => {
  node = new Node();
  authoriser = new Authoriser(node);
});

const YES = { kind: 'allowed', client: ['echo'], worker: [], quota: null, ttlMs: 10_000 } as const;

function yes(name: string, more: object = {}): KeyAnswer {
  return { ...YES, name, ...more };
}

/** What becomes of a key that connects: its name, or why not. */
function connects(number: number, now: number, address = HERE): string {
  const verdict = authoriser.verdict(keyOf(number), address, now);
  if (verdict.kind === 'allowed') return verdict.name;
  return verdict.kind === 'refused' ? 'refused' : verdict.why;
}

const ASKING = 'waiting for a decision about its key';

describe('a key that is in no keys file', () => {
  it('is asked about once, and comes in by the answer for as long as it holds', () => {
    expect([connects(1, 0), connects(1, 1)]).toEqual([ASKING, ASKING]);
    expect(node.asked).toEqual([keyOf(1)]);
    authoriser.answered(keyOf(1), yes('carol', { quota: 'small' }), 100);
    expect(connects(1, 9000)).toBe('carol');
    expect(node.asked).toHaveLength(1);
    expect(authoriser.rightsOf('carol')).toMatchObject({
      client: { patterns: ['echo'] },
      worker: { isNone: true },
      operator: false,
      peer: false,
      quota: 'small',
    });
    expect(node.told).toMatchObject([{ keyName: 'carol', client: ['echo'] }]);
    expect(connects(1, 10_100)).toBe(ASKING);
    expect(node.asked).toHaveLength(2);
  });

  it('stays out for as long as a refusal holds', () => {
    connects(1, 0);
    authoriser.answered(keyOf(1), { kind: 'refused', ttlMs: 5000 }, 0);
    expect(connects(1, 4999)).toBe('refused');
    expect(connects(1, 5000)).toBe(ASKING);
  });

  it('is asked about again a second after no answer that could be used', () => {
    connects(1, 0);
    authoriser.run(ANSWER_MS - 1);
    expect(node.told).toEqual([]);
    authoriser.run(ANSWER_MS);
    expect(node.told).toMatchObject([
      { name: 'authoriser.unanswered', reason: 'no answer in time' },
    ]);
    expect(connects(1, ANSWER_MS + SILENT_MS - 1)).toBe(
      'the service that decides about its key does not answer',
    );
    expect(connects(1, ANSWER_MS + SILENT_MS)).toBe(ASKING);
    // What comes after its time tells nothing.
    authoriser.answered(keyOf(1), { kind: 'unusable', why: 'x' }, ANSWER_MS + SILENT_MS);
    authoriser.answered(keyOf(1), yes('carol'), ANSWER_MS + SILENT_MS + 1);
    expect(connects(1, ANSWER_MS + SILENT_MS + 2)).toBe(
      'the service that decides about its key does not answer',
    );
  });

  it('does not come in under a name of a keys file: what is alice’s stays hers', () => {
    connects(1, 0);
    authoriser.answered(keyOf(1), yes('alice'), 0);
    expect(connects(1, 1)).toBe('the service that decides about its key does not answer');
    expect(node.told).toMatchObject([{ reason: 'the name alice is in a keys file' }]);
  });

  it('is not asked about by a node that does not serve', () => {
    node.isServing = false;
    expect(connects(1, 0)).toBe('this node is not active, so it cannot ask about keys');
    expect(node.asked).toEqual([]);
  });

  it('one address cannot use up what may be asked at once', () => {
    for (let n = 0; n < 2 * ASKED_PER_ADDRESS_MAX; n++) connects(n, 0);
    expect(node.asked).toHaveLength(ASKED_PER_ADDRESS_MAX);
    expect(connects(9999, 0, '10.0.0.2')).toBe(ASKING);
    for (let n = 1000; n < 1000 + 2 * ASKED_MAX; n++) connects(n, 0, `10.1.${n >> 8}.${n & 255}`);
    expect(node.asked).toHaveLength(ASKED_MAX);
    authoriser.run(ANSWER_MS);
    expect(connects(77, ANSWER_MS + SILENT_MS)).toBe(ASKING);
  });
});

describe('when the answer has run out', () => {
  beforeEach(() => {
    connects(1, 0);
    authoriser.answered(keyOf(1), yes('carol'), 0);
  });

  it('who is connected stays while it is asked again, and may what is said then', () => {
    node.connected.add('carol');
    authoriser.run(10_000);
    expect(node.asked).toHaveLength(2);
    expect(connects(1, 10_001)).toBe('carol');
    expect(node.revokedKeys).toEqual([]);
    const rights = authoriser.rightsOf('carol');
    node.changedNames.length = 0;
    authoriser.answered(keyOf(1), yes('carol', { client: ['sum'] }), 10_010);
    expect(rights.client.patterns).toEqual(['sum']);
    expect([node.changedNames, node.revokedKeys]).toEqual([['carol'], []]);
    expect(connects(1, 20_009)).toBe('carol');
  });

  it.each([
    ['it is refused now', { kind: 'refused', ttlMs: 1000 } as const],
    ['nobody answers', { kind: 'unusable', why: 'no worker offers it' } as const],
    ['it has another name now', yes('dave')],
  ])('it loses its connections and its rights: %s', (_, answer) => {
    node.connected.add('carol');
    const rights = authoriser.rightsOf('carol');
    authoriser.run(10_000);
    authoriser.answered(keyOf(1), answer, 10_001);
    expect(node.revokedKeys).toEqual([keyOf(1).toString('hex')]);
    expect(rights.client.isNone).toBe(true);
    expect(node.changedNames).toContain('carol');
  });

  it('many who are connected are asked about a few at a time, and lose nothing meanwhile', () => {
    const most = 3 * ASKED_MAX;
    for (let n = 1000; n < 1000 + most; n++) {
      authoriser.verdict(keyOf(n), `10.1.${n >> 8}.${n & 255}`, 0);
      authoriser.answered(keyOf(n), yes(`key-${n}`), 0);
      node.connected.add(`key-${n}`);
    }
    const before = node.asked.length;
    authoriser.run(10_000);
    expect(node.asked.length - before).toBe(ASKED_MAX);
    for (const key of node.asked.slice(before)) {
      authoriser.answered(key, yes(`key-${key.readUInt32BE(28)}`), 10_001);
    }
    authoriser.run(10_250);
    expect(node.asked.length - before).toBe(2 * ASKED_MAX);
    expect(node.revokedKeys).toEqual([]);
    // Nobody who fills the questions with others keeps an old answer good for ever.
    node.asked.length = 0;
    authoriser.run(10_000 + 30_000);
    expect(node.revokedKeys.length).toBeGreaterThan(0);
  });

  it('one that nobody uses is forgotten', () => {
    authoriser.run(10_000);
    expect([node.asked.length, node.revokedKeys.length]).toEqual([1, 0]);
    expect(authoriser.rightsOf('carol').client.isNone).toBe(true);
  });

  it('two keys of one name lose its rights with the second', () => {
    connects(2, 0);
    authoriser.answered(keyOf(2), yes('carol', { ttlMs: 20_000 }), 0);
    authoriser.run(10_000);
    expect(authoriser.rightsOf('carol').client.patterns).toEqual(['echo']);
    authoriser.run(20_000);
    expect(authoriser.rightsOf('carol').client.isNone).toBe(true);
  });
});

describe('the question and its answer', () => {
  it('the question says the key as people write it, and where it comes from', () => {
    expect(JSON.parse(question(Buffer.alloc(32), HERE).toString())).toEqual({
      publicKey: '0'.repeat(40),
      address: HERE,
    });
  });

  it('what is left out grants nothing, and holds for a minute', () => {
    const answer = readAnswer([Buffer.from('{"name":"carol","client":["pay.*"]}')]);
    expect(answer).toEqual({
      kind: 'allowed',
      name: 'carol',
      client: ['pay.*'],
      worker: [],
      quota: null,
      ttlMs: 60_000,
    });
    const refused = readAnswer([Buffer.from('{"refused":true,"ttlMs":20000}')]);
    expect(refused).toEqual({ kind: 'refused', ttlMs: 20_000 });
  });

  it.each([
    ['', 'not JSON'],
    ['no', 'not JSON'],
    ['{"name":"carol","client":["\xff"]}', 'not UTF-8'],
    ['null', 'expected object'],
    ['{}', 'name: '],
    ['{"name":"a b"}', 'name: expected 1 to 64 printable characters without spaces'],
    ['{"name":"carol","clients":["*"]}', 'Unrecognized key'],
    ['{"name":"carol","operator":true}', 'Unrecognized key'],
    ['{"name":"carol","client":"*"}', 'client: '],
    ['{"name":"carol","client":["%"]}', 'client.0: not a service name or pattern'],
    ['{"name":"carol","ttlMs":1}', 'ttlMs: '],
    ['{"refused":"no"}', 'refused: '],
    ['{"refused":true,"name":"carol"}', 'Unrecognized key'],
  ])('%j is none: %s', (text, why) => {
    const answer = readAnswer([Buffer.from(text, 'latin1')]);
    expect(answer).toEqual({ kind: 'unusable', why: expect.stringContaining(why) });
    expect(readAnswer([])).toMatchObject({ kind: 'unusable' });
    expect(readAnswer([Buffer.from('{}'), Buffer.from('{}')])).toMatchObject({ kind: 'unusable' });
  });
});
