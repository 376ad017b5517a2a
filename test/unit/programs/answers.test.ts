import type { Answer } from '../../../src/admin/http/answer.js';
import { Frames } from '../../../src/core/frames.js';
import {
  endAnswer,
  titanicAnswer,
  titanicFailure,
} from '../../../src/extensions/programs/answers.js';
import { outcomeOf } from '../../../src/extensions/programs/ask.js';
import { type Body, messageOf, type Message } from '../../../src/extensions/programs/message.js';
import { Reply } from '../../../src/extensions/programs/reply.js';
import { eventText } from '../../../src/extensions/programs/sse.js';
import { FakeCall } from './fake-call.js';

/** A message for a client of MDP 0.2. */
function received(command: 2 | 3, service: string, ...body: readonly (string | Buffer)[]): Message {
  return messageOf(Frames.of('MDPC02', Buffer.from([command]), service, ...body));
}

function bodyOf(message: Message): Body {
  if ('frames' in message) return message;
  throw new Error(message.kind);
}

function ended(service: string, ...body: readonly (string | Buffer)[]): Answer {
  const message = received(3, service, ...body);
  if (message.kind === 'partial' || message.kind === 'reply') throw new Error(message.kind);
  return endAnswer(message);
}

/** Status, error and Retry-After. */
function shown({ status, body, headers }: Answer): unknown {
  const { error } = JSON.parse(String(body)) as { readonly error: unknown };
  return [status, error, headers['retry-after'] ?? null];
}

describe('what becomes of a request of a program', () => {
  it.each([
    ['403', 403, 'ERR_HTTP_FORBIDDEN', null],
    ['404', 404, 'ERR_HTTP_NO_WORKER', null],
    ['408', 504, 'ERR_HTTP_EXPIRED', null],
    ['413', 413, 'ERR_HTTP_TOO_LARGE', null],
    ['429', 429, 'ERR_HTTP_LIMIT', '1'],
    ['502', 502, 'ERR_HTTP_NO_REPLY', null],
    ['503', 503, 'ERR_HTTP_NOT_READY', '1'],
    ['520', 502, 'ERR_HTTP_OUTCOME_UNKNOWN', null],
    ['599', 502, 'ERR_HTTP_NO_REPLY', null],
  ])('a refusal with %s is %d %s, with the text of the broker', (refusal, status, code, later) => {
    const answer = ended('mmi.refused', refusal, 'echo', 'because');
    expect(shown(answer)).toEqual([status, { code, message: 'because' }, later]);
  });

  it('is 422 if a worker reports a failure, with its code, text and detail', () => {
    const answer = ended(
      'mmi.failed',
      'echo',
      'card_declined',
      'Declined',
      '{"a":1}',
      Buffer.from([0xff]),
    );
    const detail = [
      { encoding: 'utf8', data: '{"a":1}' },
      { encoding: 'base64', data: '/w==' },
    ];
    const error = {
      code: 'ERR_HTTP_FAILED',
      message: 'Declined',
      serviceCode: 'card_declined',
      detail,
    };
    expect(shown(answer)).toEqual([422, error, null]);
    expect(ended('mmi.failed', 'echo', 'busy', '').withoutRoom).toMatchObject({ status: 502 });
    expect(shown(ended('mmi.failed', 'echo', 'busy', ''))).toMatchObject([
      422,
      { message: 'busy' },
      null,
    ]);
  });

  it('is 502 if the broker cannot use what the worker answers', () => {
    const error = { code: 'ERR_HTTP_NO_REPLY', message: 'mdp.too-large: 17 bytes' };
    expect(shown(ended('mmi.failed', 'echo', 'mdp.too-large', '17 bytes'))).toEqual([
      502,
      error,
      null,
    ]);
    expect(messageOf(Frames.of('?'))).toMatchObject({ kind: 'refused', status: '502' });
    expect(received(3, 'mmi.failed', 'echo', 'no code!', '')).toMatchObject({ status: '502' });
  });

  it('is the reply, its frames joined, under the type that the client accepts', () => {
    const message = received(3, 'echo', 'a', '', 'bc');
    const joined = new Reply({ kind: 'bytes', type: 'application/json' });
    expect(joined.answer(bodyOf(message))).toEqual({
      ...{ status: 200, type: 'application/json', body: Buffer.from('abc'), headers: {} },
      isCounted: true,
    });
    const parts = new Reply({ kind: 'parts' });
    parts.add(bodyOf(received(2, 'echo', '', 'x')));
    const { type, body } = parts.answer(bodyOf(message));
    const [, boundary = ''] = /^multipart\/mixed; boundary=([\da-f]{36})$/.exec(type) ?? [];
    const part = (text: string): string =>
      `--${boundary}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${text.length}\r\n\r\n${text}\r\n`;
    const all = ['', 'x', 'a', '', 'bc'].map(part).join('');
    expect(String(body)).toBe(`${all}--${boundary}--\r\n`);
  });

  it('is an event for each part, and one for the end', () => {
    const eventOf = (message: Message): string => [...eventText(message)].join('');
    expect(eventOf(received(2, 'echo', 'a\nb', ''))).toBe(
      'event: partial\ndata: {"frames":[{"encoding":"utf8","data":"a\\nb"},{"encoding":"utf8","data":""}]}\n\n',
    );
    expect(eventOf(received(2, 'echo', 'MDPP01', '5%'))).toBe(
      'event: progress\ndata: {"frames":[{"encoding":"utf8","data":"5%"}]}\n\n',
    );
    expect(eventOf(received(3, 'echo', Buffer.from([0x80])))).toBe(
      'event: reply\ndata: {"frames":[{"encoding":"base64","data":"gA=="}]}\n\n',
    );
    expect(eventOf(received(3, 'mmi.refused', '502', 'echo', 'lost'))).toBe(
      'event: error\ndata: {"error":{"code":"ERR_HTTP_NO_REPLY","message":"lost"}}\n\n',
    );
    expect(eventOf(received(3, 'mmi.failed', 'echo', 'busy', 'later'))).toContain(
      '"serviceCode":"busy"',
    );
  });
});

describe('a reply in parts', () => {
  const wanted = { kind: 'parts' } as const;
  const empty = (count: number): Frames =>
    Frames.of('MDPC02', Buffer.from([2]), 'echo', ...new Array<string>(count).fill(''));

  it('that is joined costs the bytes of its frames, however many there are', async () => {
    const reply = new Reply();
    const call = new FakeCall();
    call.arrive(...new Array<Frames>(2000).fill(empty(100)));
    call.arrive(Frames.of('MDPC02', Buffer.from([3]), 'echo', 'end'));
    const outcome = outcomeOf(1000, call, call.listen, reply);
    call.run();
    expect(await outcome).toMatchObject({ kind: 'reply' });
    expect([reply.bytes, call.turns > 100]).toEqual([0, true]);
    expect(call.made.bytes).toBeLessThan(100);
  });

  it.each([
    ['overrun', 'limits.outputBytes'],
    ['memory', 'limits.memoryBytes'],
  ] as const)('is 502 as soon as what is made of it has no room: %s', async (why, named) => {
    const reply = new Reply(wanted);
    const call = new FakeCall((bytes) => (bytes > 100_000 ? why : null));
    call.arrive(...new Array<Frames>(2000).fill(empty(100)));
    const outcome = outcomeOf(1000, call, call.listen, reply);
    call.run();
    expect(shown((await outcome) as Answer)).toMatchObject([
      ...[502, { code: 'ERR_HTTP_NO_REPLY', message: expect.stringContaining(named) }, null],
    ]);
    // It takes no more, and made little beyond.
    expect(call.left).toBeGreaterThan(1900);
    expect(reply.bytes).toBeLessThan(150_000);
  });

  it('of progress keeps nothing', async () => {
    const reply = new Reply(wanted);
    const call = new FakeCall();
    const progress = Frames.of('MDPC02', Buffer.from([2]), 'echo', 'MDPP01', 'x');
    call.arrive(progress, progress);
    void outcomeOf(1, call, call.listen, reply);
    call.run();
    expect([reply.bytes, call.left]).toEqual([0, 0]);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  });
});

describe('the answers of titanic.* to a program', () => {
  const of = (...frames: readonly string[]): Answer =>
    titanicFailure(titanicAnswer({ frames: Frames.of(...frames), body: 0 }));

  it.each([
    ['400 unknown', 404, 'ERR_HTTP_NOT_FOUND', null],
    ['400 ttlMs is a whole number from 1', 400, 'ERR_HTTP_PARAMETER', null],
    ['500 titanic.maxOpen is reached', 503, 'ERR_HTTP_STORE', '1'],
    ['500 the quota `stored` is used up', 429, 'ERR_HTTP_LIMIT', '1'],
    ['500 dead mdp.no-reply: the worker was lost', 502, 'ERR_HTTP_NO_REPLY', null],
    ['500 dead bad_input: no', 422, 'ERR_HTTP_FAILED', null],
    ['what?', 503, 'ERR_HTTP_STORE', '1'],
  ])('%s is %d %s', (first, status, code, later) => {
    expect(shown(of(first))).toMatchObject([status, { code }, later]);
  });

  it('names the request that may be stored all the same (D105)', () => {
    const uuid = 'F'.repeat(32);
    const { headers } = of('500 outcome unknown: the store did not answer in time', uuid);
    expect(headers['location']).toBe(`/api/v1/titanic/requests/${uuid}/result`);
  });

  it('keeps the detail of a dead request', () => {
    const detail = [{ encoding: 'utf8', data: 'more' }];
    expect(shown(of('500 dead bad_input: no', 'more'))).toMatchObject([422, { detail }, null]);
  });
});
