/** Connections over which no further request comes (`http.idleTimeoutMs`). */
import { httpOf, RawHttp } from '../../support/http.js';
import { endStands, openStand } from '../../support/programs.js';

afterEach(endStands);

const TIMEOUT = /keep-alive: timeout=(\d+)/gi;

describe('an idle connection', () => {
  it('stays for 75 s, longer than proxies keep theirs, whether a head is read or repeated', async () => {
    const stand = await openStand();
    await stand.serve(() => 'done');
    const answers = await stand.requestsOnOne([{}, {}, {}]);
    expect([...answers.matchAll(TIMEOUT)].map(([, seconds]) => seconds)).toEqual([
      ...['75', '75', '75'],
    ]);
  });

  it('is closed after the time that the configuration names', async () => {
    const stand = await openStand('{}', 'http.idleTimeoutMs=1000');
    const raw = new RawHttp(httpOf(stand.daemon));
    raw.send('GET /livez HTTP/1.1', 'Host: localhost', '');
    await raw.until('\r\n\r\n');
    expect(raw.received).toContain('Keep-Alive: timeout=1\r\n');
    expect((await raw.rest()).match(/^HTTP/gm)).toHaveLength(1);
  });
});
