import { RepeatedHead } from '../../../src/admin/io/repeated-head.js';

const FIRST = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nAccept: b\r\n\r\n';

function headOf(text: string, length = '10'): RepeatedHead | null {
  return RepeatedHead.of(Buffer.from(text, 'latin1'), length);
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
    ['with the largest length', withLength('99999') + 'x'.repeat(99_999), 'x'.repeat(99_999)],
  ])('is recognised %s', (_what, bytes, body) => {
    expect(bodyIn(bytes)).toBe(body);
  });

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
  ])('is not one if %s', (_what, bytes) => {
    expect(bodyIn(bytes)).toBeNull();
  });

  it.each([
    ['without a length', FIRST.replace('Content-Length', 'X-Length')],
    ['whose length was read elsewhere', withLength('11')],
    ['over 2 KiB', FIRST.replace('Accept: b', `Accept: ${'b'.repeat(2048)}`)],
    ['whose length ends otherwise', FIRST.replace('10\r\n', '10 \r\n')],
  ])('one %s is not kept', (_what, text) => {
    expect(headOf(text)).toBeNull();
  });
});
