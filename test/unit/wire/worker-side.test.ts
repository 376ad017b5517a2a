import { Frames } from '../../../src/core/frames.js';
import { decodeHeaders } from '../../../src/wire/headers.js';
import {
  readWorkerInbound,
  workerDisconnect,
  workerFinal,
  workerHeartbeat,
  workerPartial,
  workerReady,
  workerReturn,
} from '../../../src/wire/worker-side.js';
import { bytesOf, type FrameText, layouts, textOf, truncations } from './layouts.js';
import { atWorker, type Read } from './readers.js';

const VERSIONS = [1, 2] as const;
const PREFIX = { 1: ['', 'MDPW01'], 2: ['MDPW02'] } as const;
const HEARTBEAT = { 1: '\x04', 2: '\x05' } as const;
const DISCONNECT = { 1: '\x05', 2: '\x06' } as const;
const TOKEN = '\x00token\xff';
const MALFORMED: Read = { kind: 'malformed', explained: true };

function expectRead(
  version: 1 | 2,
  message: readonly FrameText[],
  read: Read,
  before: readonly FrameText[] = message,
): void {
  for (const frames of layouts(message, before)) {
    expect([message, atWorker(version, frames)]).toEqual([message, read]);
  }
}

describe.each(VERSIONS)('What an 0.%d worker reads', (version) => {
  const prefix = PREFIX[version];
  const full = [...prefix, '\x02', TOKEN, '', 'a', '', 'c'];

  it('is a REQUEST with its token and body, frame by frame (§3, D7)', () => {
    const request = { kind: 'request', client: TOKEN };
    expectRead(version, full, { ...request, body: ['a', '', 'c'] });
    expectRead(version, [...prefix, '\x02', TOKEN, '', ''], { ...request, body: [''] });
    const body = Array<string>(10_000).fill('x');
    expectRead(version, [...prefix, '\x02', TOKEN, '', ...body], { ...request, body });
  });

  it('is a REQUEST with deadline and headers (D67)', () => {
    const sent = [...prefix, '\x09', TOKEN, '', '5000', '{"a":"b"}', 'x', ''];
    const request = { kind: 'request', client: TOKEN, deadline: '5000', headers: '{"a":"b"}' };
    expectRead(version, sent, { ...request, body: ['x', ''] });
    for (const cut of truncations(sent).filter(({ length }) => length > prefix.length)) {
      if (cut.length < prefix.length + 6) expectRead(version, cut, MALFORMED, sent);
    }
    expectRead(version, [...prefix, '\x09', TOKEN, 'x', '', '', 'b'], MALFORMED);
  });

  it('is a HEARTBEAT or DISCONNECT (§3)', () => {
    expectRead(version, [...prefix, HEARTBEAT[version]], { kind: 'heartbeat' });
    expectRead(version, [...prefix, DISCONNECT[version]], { kind: 'disconnect' });
  });

  it('has its body as a view, without a copy', () => {
    const body = bytesOf('body');
    const frames = Frames.of(...[...prefix, '\x02', TOKEN, ''].map(bytesOf));
    frames.push(body, 1, 3);
    const read = readWorkerInbound(version, frames);
    expect(read.kind).toBe('request');
    if (read.kind === 'request') expect(frames.buffer(read.body)).toBe(body);
  });
});

describe.each(VERSIONS)('What an 0.%d worker sends', (version) => {
  const prefix = PREFIX[version];
  const token = bytesOf(TOKEN);

  it('is READY with its service, and its credit only if it has one (§3, D23)', () => {
    const service = bytesOf('echo');
    expect(workerReady(version, service, null).map(textOf)).toEqual([...prefix, '\x01', 'echo']);
    expect(workerReady(version, service, 1).map(textOf)).toEqual([...prefix, '\x01', 'echo', '1']);
    expect(workerReady(version, service, 10_000).map(textOf)).toEqual([
      ...prefix,
      '\x01',
      'echo',
      '10000',
    ]);
  });

  it('is READY with its options behind a credit that is always stated (D67)', () => {
    const service = bytesOf('echo');
    const options = { name: 'w"1' };
    const start = [...prefix, '\x01', 'echo'];
    const said = '{"name":"w\\"1"}';
    expect(workerReady(version, service, null, options).map(textOf)).toEqual([...start, '1', said]);
    expect(workerReady(version, service, 7, options).map(textOf)).toEqual([...start, '7', said]);
    expect(workerReady(version, service, null, { name: null }).map(textOf)).toEqual(start);
  });

  it('is REPLY in 0.1 and FINAL in 0.2, with one body frame at least (§3)', () => {
    const command = version === 1 ? '\x03' : '\x04';
    const start = [...prefix, command, TOKEN, ''];
    const body = [bytesOf('a'), bytesOf('')];
    expect(workerFinal(version, token, body).map(textOf)).toEqual([...start, 'a', '']);
    expect(workerFinal(version, token, []).map(textOf)).toEqual([...start, '']);
  });

  it('is HEARTBEAT, DISCONNECT and RETURN (§3, D25)', () => {
    expect(workerHeartbeat(version).map(textOf)).toEqual([...prefix, HEARTBEAT[version]]);
    expect(workerDisconnect(version).map(textOf)).toEqual([...prefix, DISCONNECT[version]]);
    const returned = [...prefix, '\x07', TOKEN, ''];
    expect(workerReturn(version, token, 'why').map(textOf)).toEqual([...returned, 'why']);
  });
});

describe('The headers of a request', () => {
  it('are none if the frame is not UTF-8: values that differ would be the same (D66)', () => {
    expect(decodeHeaders(Buffer.from('{"a":"ü"}'))).toEqual({ a: 'ü' });
    expect(decodeHeaders(Buffer.from('{"a":"ü"}', 'latin1'))).toBeNull();
  });
});

describe('What a worker streams', () => {
  it('is PARTIAL as 0x03, which is 0.2 only, with one body frame at least (§3)', () => {
    const token = bytesOf(TOKEN);
    const start = ['MDPW02', '\x03', TOKEN, ''];
    expect(workerPartial(token, [bytesOf('p')]).map(textOf)).toEqual([...start, 'p']);
    expect(workerPartial(token, []).map(textOf)).toEqual([...start, '']);
  });
});
