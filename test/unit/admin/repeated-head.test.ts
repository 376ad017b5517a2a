import { RepeatedHead } from '../../../src/admin/io/repeated-head.js';

const FIRST =
  'POST /a HTTP/1.1\r\nTrace: t-1\r\nHost: a\r\nContent-Length: 10\r\nKey: k\r\nAccept: b\r\n\r\n';

function headOf(text: string, length = '10', trace = ['t-1']): RepeatedHead | null {
  const found = { 'content-length': [length], trace, host: ['a'], key: ['k'], accept: ['b'] };
  const mayDiffer = (name: string): boolean => name === 'trace' || name === 'key';
  return RepeatedHead.of(Buffer.from(text, 'latin1'), found, mayDiffer);
}

/** The body that is found; `null`: the bytes are not such a request. */
function bodyIn(bytes: string, first = FIRST): string | null {
  const head = headOf(first);
  const end = head?.endIn(Buffer.from(bytes, 'latin1')) ?? -1;
  return end < 0 ? null : bytes.slice(head?.bodyAt, end);
}

function withLength(length: string): string {
  return FIRST.replace('10', length);
}

describe('a head that repeats another', () => {
  it.each([
    ['with a body of the same length', `${FIRST}0123456789`, '0123456789'],
    ['with one of another length', `${withLength('3')}abc`, 'abc'],
    ['without a body', withLength('0'), ''],
    ['with the next request behind it', `${withLength('3')}abcPOST`, 'abc'],
    [
      'with other values',
      FIRST.replace('t-1', '~'.repeat(128)).replace('k', '!') + '9'.repeat(10),
      '9'.repeat(10),
    ],
    ['with the largest length', withLength('99999') + 'x'.repeat(99_999), 'x'.repeat(99_999)],
  ])('is recognised %s', (_what, bytes, body) => expect(bodyIn(bytes)).toBe(body));

  it.each([
    ['a part of the body is missing', `${FIRST}012345678`],
    ['a part of the head is missing', FIRST.slice(0, -1)],
    ['all after the length is missing', FIRST.slice(0, FIRST.indexOf('10') + 1)],
    ['the length is', withLength('')],
    ['the length is no number', `${withLength('1a')}a`],
    ['the length is signed', `${withLength('-1')}a`],
    ['the length has six digits', withLength('000001') + 'a'],
    ['a header differs', `${withLength('1').replace('Accept', 'accept')}a`],
    ['the target differs', `${withLength('1').replace('/a', '/b')}a`],
    ['a header is added', `${withLength('1').replace('Accept', 'X: y\r\nAccept')}a`],
    ['the head is empty', ''],
    ['a value is missing', `${withLength('1').replace('t-1', '')}a`],
    ['a value has a space', `${withLength('1').replace('t-1', 't 1')}a`],
    ['a value begins with a space', `${withLength('1').replace('t-1', ' t')}a`],
    ['a value ends with a space', `${withLength('1').replace('t-1', 't ')}a`],
    ['a value has a control character', `${withLength('1').replace('t-1', 't\u007f')}a`],
    ['a value is not ASCII', `${withLength('1').replace('t-1', 't\u00e9')}a`],
    ['a value ends a line', `${withLength('1').replace('t-1', 't\r\nX: y')}a`],
    ['a value is over 128 bytes', `${withLength('1').replace('t-1', 't'.repeat(129))}a`],
  ])('is not one if %s', (_what, bytes) => expect(bodyIn(bytes)).toBeNull());

  it('is not one if its values make it longer than 2 KiB', () => {
    const first = FIRST.replace('Accept: b', `Accept: ${'b'.repeat(1900)}`);
    const long = (bytes: number): string => `${first.replace('t-1', 't'.repeat(bytes))}0123456789`;
    const room = 2048 - first.length + 't-1'.length;
    expect([bodyIn(long(room), first), bodyIn(long(room + 1), first)]).toEqual([
      '0123456789',
      null,
    ]);
  });

  it('has the values that may differ', () => {
    const bytes = Buffer.from(FIRST.replace('t-1', 't-22').replace('k', 'other') + '0123456789');
    const head = headOf(FIRST);
    head?.endIn(bytes);
    expect(head?.valuesIn(bytes)).toEqual({ trace: ['t-22'], key: ['other'] });
  });

  it.each([
    ['came twice', FIRST.replace('Host', 'trace: t-2\r\nHost'), ['t-1', 't-2']],
    ['was read otherwise', FIRST, ['t']],
    ['is over 128 bytes', FIRST.replace('t-1', 't'.repeat(129)), ['t'.repeat(129)]],
  ])('may not have another value of a header that %s', (_what, text, trace) => {
    const head = headOf(text, '10', trace);
    const end = (bytes: string): unknown =>
      head?.endIn(Buffer.from(`${bytes}0123456789`, 'latin1'));
    expect([end(text), end(text.replace(': t', ': u'))]).toEqual([text.length + 10, -1]);
  });

  it.each([
    ['without a length', FIRST.replace('Content-Length', 'X-Length')],
    ['whose length was read elsewhere', withLength('11')],
    ['over 2 KiB', FIRST.replace('Accept: b', `Accept: ${'b'.repeat(2048)}`)],
    ['whose length ends otherwise', FIRST.replace('10\r\n', '10 \r\n')],
  ])('one %s is not kept', (_what, text) => expect(headOf(text)).toBeNull());
});
