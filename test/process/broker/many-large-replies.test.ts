/** A client that reads, to which more large replies come at once than `limits.outputBytes`; and one that does not read. */
import { closePeers, RawPeer } from '../../interop/support/raw-peer.js';
import { clientOf, endAll, serve } from '../../support/daemon-users.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';

const REPLIES = 24;
const REPLY = 'x'.repeat(4_000_000);
const SETS = ['limits.messageBytes=8MiB', 'limits.outputBytes=8MiB'];

afterEach(() => {
  closePeers();
  return endAll();
});

/** Replies to all requests at once, when so many have come. */
function serveAtOnce(daemon: Daemon, count: number): void {
  let come = 0;
  let answer = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const handler = async (): Promise<string> => {
    if (++come === count) answer();
    await all;
    return REPLY;
  };
  serve(daemon, 'large', handler, { concurrency: count });
}

it('a client that reads gets them all', async () => {
  const daemon = await startDaemon({ sets: SETS });
  serveAtOnce(daemon, REPLIES);
  const client = clientOf(daemon, { timeoutMs: PATIENCE_MS });
  const asked = Array.from({ length: REPLIES }, () => client.request('large', 'now'));
  const sizes = (await Promise.all(asked)).map(({ value }) => value.length);
  expect(sizes).toEqual(Array(REPLIES).fill(REPLY.length));
  expect(daemon.logged('client.closed')).toEqual([]);
  expect(client.counters.resumed).toBe(0);
});

it('a client that does not read is closed, and the others are served', async () => {
  const daemon = await startDaemon({ sets: SETS });
  serveAtOnce(daemon, REPLIES);
  const deaf = new RawPeer(daemon.endpoint, { reads: false });
  for (let n = 0; n < REPLIES; n++) await deaf.send('', 'MDPC01', 'large', 'now');
  expect(await daemon.waitFor('connection.rejected')).toMatchObject({ kind: 'output' });
  const { value } = await clientOf(daemon).request('large', 'now');
  expect(value).toHaveLength(REPLY.length);
});
