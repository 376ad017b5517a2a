/** Which request gets what a peer of the broker brings, as peers are used again. */
import type { Connected } from '../../../src/admin/http/route.js';
import { Frames } from '../../../src/core/frames.js';
import { Holdings } from '../../../src/core/holdings.js';
import type { Call } from '../../../src/extensions/programs/call.js';
import { Callers } from '../../../src/extensions/programs/callers.js';
import { clientRequest } from '../../../src/wire/client-side.js';
import { CLIENT_02, CLIENT_FINAL, COMMAND_FRAMES, EMPTY } from '../../../src/wire/mdp.js';
import { MMI_HELLO } from '../../../src/wire/mmi.js';
import { type PeerId, PeerNumbers } from '../../../src/zmtp/port.js';
import { until } from '../../support/until.js';

const SERVICE = Buffer.from('work');
const nothing = (): undefined => undefined;

let callers: Callers;
/** What the broker got, beside greetings: who sent it, and the last frame. */
let got: [peer: PeerId, body: string][];
let gone: PeerId[];

beforeEach(async () => {
  [callers, got, gone] = [new Callers(0), [], []];
  await callers.open({
    listeners: [],
    peers: new PeerNumbers(),
    holdings: new Holdings(),
    limits: {
      ...{ messageBytesMax: 1e6, framesMax: 100, outputBytesMax: 1e6, receiveBytesMax: 1e6 },
      ...{ connectionsMax: 100, connectionsPerIdentityMax: 100 },
    },
    events: {
      ...{ connected: nothing, outputFull: nothing, drained: nothing, rejected: nothing },
      message: (peer, frames) => {
        const texts = frames.copyFrom(0).map(String);
        if (texts.includes(MMI_HELLO)) reply(peer, MMI_HELLO, '200');
        else got.push([peer, texts.at(-1) ?? '']);
      },
      disconnected: (peer) => gone.push(peer),
    },
  });
});

afterEach(() => callers.close());

/** The broker's reply to the request of a peer. */
function reply(peer: PeerId, service: string, body: string): void {
  const frames = [CLIENT_02, COMMAND_FRAMES[CLIENT_FINAL] ?? EMPTY, service, body].map((each) =>
    Buffer.from(each),
  );
  for (const [index, frame] of frames.entries()) {
    callers.write(peer, frame, 0, frame.length, index < frames.length - 1);
  }
}

/** A program's request: what its call brings, and how it leaves. */
class Program {
  readonly call: Call;
  readonly brought: string[] = [];
  leave: () => void = nothing;

  constructor() {
    const connected: Connected = {
      address: '127.0.0.1',
      onClosed: (then) => {
        this.leave = then;
      },
      drop: nothing,
    };
    this.call = callers.take('shop', connected, SERVICE);
  }

  send(body: string): void {
    this.call.send(Frames.of(...clientRequest(2, null, SERVICE, [Buffer.from(body)])), {
      proceed: () => {
        const message = this.call.next();
        if (message !== null && 'frames' in message) {
          this.brought.push(message.frames.view(message.body).toString());
        }
        return false;
      },
      closed: () => this.brought.push('closed'),
    });
  }
}

it('the next request of a program uses the peer of one that is answered', () => {
  const first = new Program();
  first.send('a');
  reply(first.call.id, 'work', 'A');
  callers.flush();
  first.leave();
  const second = new Program();
  second.send('b');
  reply(second.call.id, 'work', 'B');
  callers.flush();
  expect([first.brought, second.brought, second.call === first.call]).toEqual([['A'], ['B'], true]);
});

it('a request whose client has gone before it was sent reaches neither the broker nor the peer of another', async () => {
  const first = new Program();
  first.leave();
  const second = new Program();
  second.send('b');
  first.send('a');
  reply(second.call.id, 'work', 'B');
  callers.flush();
  await until(() => first.brought.length > 0, 'the first one ends');
  expect(got).toEqual([[second.call.id, 'b']]);
  expect([first.brought, second.brought]).toEqual([['closed'], ['B']]);
  expect(gone).toHaveLength(1);
});
