import { messageOf } from '../../../../src/core/errors.js';
import { nodeUrl } from '../../../../src/cli/connection/endpoints.js';

const read = (text: string): ReturnType<typeof nodeUrl> => nodeUrl({ MAJORDOMO_URL: text });

function refusal(text: string): string {
  try {
    read(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_USAGE' });
    return messageOf(error);
  }
  throw new Error(`${text} was taken`);
}

describe('MAJORDOMO_URL', () => {
  it('is nothing where it is absent, empty or blank', () => {
    expect(nodeUrl({})).toBeNull();
    expect(read('')).toBeNull();
    expect(read(' , ')).toBeNull();
  });

  it.each(['tcp://mq.example:5555', 'tcp://[::1]:5555', 'ipc:///run/m/broker.sock', 'ipc://@name'])(
    'is an endpoint: %s',
    (text) => expect(read(` ${text} `)).toEqual({ endpoints: [text], addresses: [] }),
  );

  it.each(['http://mq.example:5580', 'https://mq.example/broker/', 'unix:/run/my dir/a,b.sock'])(
    'is an HTTP address: %s',
    (text) => expect(read(text)).toEqual({ endpoints: [], addresses: [text] }),
  );

  it('is a list of both, parted by commas or blanks, each once', () => {
    expect(read('tcp://a:1,tcp://b:2  http://a:3, tcp://a:1')).toEqual({
      endpoints: ['tcp://a:1', 'tcp://b:2'],
      addresses: ['http://a:3'],
    });
  });

  it.each([
    ['mq.example:5555', 'did you mean tcp://mq.example:5555'],
    ['nonsense', 'expected tcp://HOST:PORT'],
    ['ftp://mq.example', 'expected tcp://HOST:PORT'],
    ['javascript:alert(1)', 'expected tcp://HOST:PORT'],
    ['tcp://mq.example', 'the port is missing'],
    ['tcp://*:5555', 'cannot connect to *'],
    ['tcp://a:1,b:2', 'tcp://a:1,b:2'],
    ['http://', 'expected http://HOST:PORT'],
    ['http://a:1/?x=y', 'expected http://HOST:PORT'],
    ['http://a:99999', 'expected http://HOST:PORT'],
    ['unix:', 'expected http://HOST:PORT'],
  ])('that is no address is refused: %s', (text, says) => {
    expect(refusal(text)).toContain(says);
    expect(refusal(text)).toContain('MAJORDOMO_URL');
  });

  it.each([
    'http://me:secret@a:1',
    'https://:secret@a',
    'tcp://me:secret@a:1',
    'http://me:secret@a:99999',
    'me:secret@a:1',
  ])('with a password is refused, and the password is not shown: %s', (text) => {
    expect(refusal(text)).toContain('must not contain a user or password');
    expect(refusal(text)).not.toContain('secret');
  });

  it('has at most 64 addresses', () => {
    const many = (count: number): string =>
      Array.from({ length: count }, (_, at) => `tcp://a:${at + 1}`).join();
    expect(read(many(64))?.endpoints).toHaveLength(64);
    expect(refusal(many(65))).toContain('more than 64');
  });
});
