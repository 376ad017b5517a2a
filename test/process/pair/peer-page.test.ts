import { dialPeer } from '../../../src/bstar/io/peer-dialler.js';
import { PEER_VERSION } from '../../../src/wire/pair.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf } from '../../support/http.js';
import { linkEvents } from '../../support/link-events.js';
import { until } from '../../support/until.js';

/** A machine that stalls for seconds does not separate them. */
const HEARTBEAT_MS = 5000;

let peerListener: string;
let daemon: Daemon;

beforeAll(async () => {
  const [own, peer] = await freePorts(2);
  peerListener = `tcp://127.0.0.1:${own}`;
  const sets = [
    'http.listen=127.0.0.1:0',
    'bstar.role=primary',
    `bstar.heartbeatIntervalMs=${HEARTBEAT_MS}`,
    `bstar.listen=${peerListener}`,
    `bstar.peer=tcp://127.0.0.1:${peer}`,
  ];
  daemon = await startDaemon({ sets });
});

afterAll(removeDaemons);

interface Ha {
  readonly peer: { readonly up: boolean; readonly publicUrl: string | null };
}

async function ha(): Promise<Ha> {
  return (await ask(`${httpOf(daemon)}/api/v1/ha`)).json as Ha;
}

describe("the address of the peer's page (issue 12.6)", () => {
  it.each([
    [null, null],
    ['https://right.example/majordomo/', 'https://right.example/majordomo/'],
    ['https://right.example/"><b>', 'https://right.example/%22%3E%3Cb%3E'],
    ['javascript:alert(1)', null],
    ['https://user:secret@right.example', null],
    ['\u0000\u001b[31m\ufffd', null],
  ])('is shown after validation if the peer says %j', async (said, shown) => {
    const link = dialPeer(peerListener, undefined, {
      introduction: () => ({
        pair: 'default',
        role: 'backup',
        replication: 'sync',
        heartbeatIntervalMs: HEARTBEAT_MS,
        node: 'right',
        storeId: Buffer.alloc(16, 7),
        epoch: 0,
        publicUrl: said,
      }),
      incarnation: 1,
      heartbeatIntervalMs: HEARTBEAT_MS,
      version: PEER_VERSION,
      events: linkEvents(),
    });
    try {
      await until(async () => (await ha()).peer.up, 'the peer to be connected');
      expect((await ha()).peer.publicUrl).toBe(shown);
      const overview = (await ask(`${httpOf(daemon)}/api/v1/overview`)).json as Ha;
      expect(overview.peer.publicUrl).toBe(shown);
    } finally {
      await link.close();
      await until(async () => !(await ha()).peer.up, 'the peer to be disconnected');
    }
  });
});
