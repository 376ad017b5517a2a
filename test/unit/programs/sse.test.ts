import { terminalSafeJson } from '../../../src/core/escape.js';
import { frameJson } from '../../../src/core/frame-json.js';
import { Frames } from '../../../src/core/frames.js';
import { CLOSED, ENDS } from '../../../src/extensions/programs/answers.js';
import { messageOf } from '../../../src/extensions/programs/message.js';
import { eventText, ReplyEvents } from '../../../src/extensions/programs/sse.js';
import { FakeCall } from './fake-call.js';

function received(command: 2 | 3, ...body: readonly (string | Buffer)[]): Frames {
  return Frames.of('MDPC02', Buffer.from([command]), 'echo', ...body);
}

const readers: Reader[] = [];

afterEach(() => {
  for (const { close } of readers.splice(0)) close();
});

/** A reader to which texts leave when the test says so. */
class Reader {
  readonly texts: string[] = [];
  ended: string | null = null;
  readonly close: () => void;
  #sent: (() => void)[] = [];

  constructor(events: ReplyEvents) {
    this.close = events.stream().open(
      (text, sent) => {
        this.texts.push(text);
        if (sent !== undefined) this.#sent.push(sent);
      },
      (how) => {
        this.ended = how ?? 'all';
      },
    );
    readers.push(this);
  }

  /** What was written has left. */
  take(): void {
    for (const sent of this.#sent.splice(0)) sent();
  }
}

async function opened(call: FakeCall): Promise<{ events: ReplyEvents; reader: Reader }> {
  const events = new ReplyEvents(call, 1000);
  call.listen(events);
  call.run();
  await events.first();
  return { events, reader: new Reader(events) };
}

describe('a stream of events', () => {
  it('writes no more until what it wrote has left, and then goes on where it stopped', async () => {
    const parts = Array.from({ length: 3000 }, (_, at) => `part ${at}`);
    const call = new FakeCall();
    call.arrive(...parts.map((part) => received(2, part)), received(3, 'end'));
    const { reader } = await opened(call);
    call.run();
    const [text = ''] = reader.texts;
    expect([reader.texts.length, call.made.bytes, reader.ended]).toEqual([1, text.length, null]);
    expect(text.length).toBeLessThan(40_000);
    expect(call.left).toBeGreaterThan(2000);
    while (reader.ended === null) {
      reader.take();
      call.run();
    }
    reader.take();
    const all = reader.texts.join('');
    const data = Array.from(all.matchAll(/"data":"([^"]*)"/g), ([, each]) => each);
    expect(data).toEqual([...parts, 'end']);
    expect([call.made.bytes, reader.ended]).toEqual([0, 'all']);
  });

  it('writes a large frame in pieces, which together are its JSON', () => {
    const euro = '\u20ac\u{1f600}\u200b"\n\u0001'.repeat(9000);
    for (const frame of [
      Buffer.from(euro),
      Buffer.from(`${euro}\u00e4`),
      Buffer.alloc(50_000, 255),
    ]) {
      const pieces = [...eventText(messageOf(received(2, frame, 'x')))];
      const json = terminalSafeJson({ frames: [frame, Buffer.from('x')].map(frameJson) });
      expect(pieces.join('')).toBe(`event: partial\ndata: ${json}\n\n`);
      expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(80_000);
    }
  });

  it('that is ended tells why, but not within an event', async () => {
    const call = new FakeCall();
    call.arrive(received(2, 'x'));
    const first = await opened(call);
    first.reader.take();
    first.events.closed('right');
    expect(first.reader.texts.at(-1)).toBe(
      `event: error\ndata: ${String(ENDS.right.body).trim()}\n\n`,
    );
    const large = new FakeCall();
    large.arrive(received(2, Buffer.alloc(200_000, 'x')));
    const second = await opened(large);
    second.events.stream().withdrawn?.(CLOSED);
    expect([second.reader.texts.length, second.reader.ended]).toEqual([1, 'now']);
    expect(first.reader.ended).toBe('now');
  });

  it('that never begins, because the first message is the last, leaves no timer', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const refused = Frames.of(
      'MDPC02',
      Buffer.from([3]),
      'mmi.refused',
      '503',
      'echo',
      'not active',
    );
    const failed = Frames.of('MDPC02', Buffer.from([3]), 'mmi.failed', 'code', 'text');
    for (const last of [refused, failed, received(3, 'all')]) {
      const call = new FakeCall();
      const before = timers();
      const events = new ReplyEvents(call, 1000);
      expect(timers()).toBe(before + 1);
      call.listen(events);
      call.arrive(last);
      call.run();
      await events.first();
      // (Others of the process may have ended meanwhile.)
      expect(timers()).toBeLessThanOrEqual(before);
    }
  });
});
