import fc from 'fast-check';

import { shownUrl, webAddress } from '../../../src/core/web-address.js';

describe('an address to which a page may link', () => {
  it.each([
    ['http://a', 'http://a/'],
    ['https://broker.example:8443/left/', 'https://broker.example:8443/left/'],
    ['HTTPS://Broker.Example', 'https://broker.example/'],
    ['http://[::1]:5580', 'http://[::1]:5580/'],
    ['https://bücher.example/ä b', 'https://xn--bcher-kva.example/%C3%A4%20b'],
    ['https://a/"><script>alert(1)</script>', 'https://a/%22%3E%3Cscript%3Ealert(1)%3C/script%3E'],
  ])('is made of %j', (text, address) => expect(webAddress(text)).toBe(address));

  it.each([
    '',
    'a',
    '//a',
    '/left',
    'javascript:alert(1)',
    'java\nscript:alert(1)//http://a',
    'data:text/html,x',
    'file:///etc/passwd',
    'ftp://a',
    'http://',
    'http://[::1',
    'http://a:99999',
    'http://user@a',
    'http://user:secret@a',
    'http://:secret@a',
    'http://a/?q',
    'http://a/#x',
    "http://a/it's",
    `http://a/${'b'.repeat(1024)}`,
    `http://a/${'\u20ac'.repeat(1000)}`,
  ])('is not made of %j', (text) => expect(webAddress(text)).toBeNull());

  it('is the same when it is written again, and can end no attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const given of [text, `http://${text}`, `https://a/${text}`]) {
          const address = webAddress(given);
          if (address === null) continue;
          expect(address).toMatch(/^https?:\/\/[\x21-\x7e]+$/);
          expect(address).not.toMatch(/["'<>`\\]/);
          if (address.length <= 1024) expect(webAddress(address)).toBe(address);
        }
      }),
    );
  });
});

describe('a URL in a message', () => {
  it.each([
    ['http://a/b', 'http://a/b'],
    ['tcp://10.0.0.1:5555', 'tcp://10.0.0.1:5555'],
    ['ipc://@name', 'ipc://@name'],
    ['unix:/run/a@b', 'unix:/run/a@b'],
    ['what?', 'what?'],
    ['nats://me:secret@a:4222', 'nats://…@a:4222'],
    ['nats://secret@a', 'nats://…@a'],
    ['nats://me:sec/r@et@a', 'nats://…@a'],
    ['me:secret@a:4222', '…@a:4222'],
    ['nats://me:secret@a,nats://me:secret@b', 'nats://…@b'],
    ['https://a/b?token=secret', 'https://a/b?…'],
    ['a:80?token=secret', 'a:80?…'],
    ['ipc:me:secret@a', '…@a'],
    ['https://a/#secret', 'https://a/?…'],
    ['postgresql://me:secret@db/q?sslmode=x', 'postgresql://…@db/q?…'],
  ])('%s is shown as %s', (text, shown) => expect(shownUrl(text)).toBe(shown));
});
