import { ask } from '../support/http.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** A worker that fails while `isBroken` is true. */
async function fragile(stand: Stand, service = 'work'): Promise<{ isBroken: boolean }> {
  const state = { isBroken: true };
  await stand.works(service, ({ frames }) => {
    if (state.isBroken) throw new Error('no paper');
    return frames;
  });
  return state;
}

async function enterToken(seen: Look, token: string): Promise<void> {
  await seen.page.getByLabel('Token', { exact: true }).fill(token);
  await seen.button('Use this token').click();
}

describe('durable requests on the page (issue 6.2)', () => {
  itWithTool('chromium', 'are found by state, service and uuid', async () => {
    const stand = await Stand.shared();
    await fragile(stand);
    const [dead = ''] = await stand.submitsDead('work', 1);
    const { uuid: pending } = await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable');
    await seen.sees(seen.row('later'));
    await seen.sees(seen.row('work'));
    await seen.page.getByLabel('State').selectOption('dead');
    await seen.gone(seen.row('later'));
    await seen.sees(seen.row('work'));
    await seen.page.getByLabel('State').selectOption('');
    await seen.page.getByRole('searchbox').fill('later');
    await seen.page.keyboard.press('Enter');
    await seen.gone(seen.row('work'));
    expect(seen.page.url()).toContain('service=later');
    await seen.page.getByRole('searchbox').fill(dead);
    await seen.page.keyboard.press('Enter');
    await seen.sees(seen.page.getByRole('heading', { name: dead }));
    await seen.goes(`#/durable/${pending}`);
    await seen.seesText('no worker serves its service');
    const { uuid: delayed } = await stand.client.submit('later', 'x', { delayMs: 3_600_000 });
    await seen.goes(`#/durable/${delayed}`);
    await seen.seesText(/^until .*\d: it is to run later$/);
    const pill = await seen.page.locator('main .pill', { hasText: 'pending' }).boundingBox();
    expect(pill?.width).toBeLessThan(120);
  });

  itWithTool('chromium', 'are listed apart from the schedules that make them', async () => {
    const stand = await Stand.open();
    await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable');
    await seen.sees(seen.row('later'));
    await seen.gone(seen.page.getByRole('heading', { name: 'Schedules' }));
    await seen.enters(stand.token);
    const options = { cron: '0 0 29 2 *', timeZone: 'Europe/Berlin' };
    await stand.client.schedule('leap day', 'report', 'x', options);
    const row = seen.page.getByRole('table', { name: 'Schedules' }).getByRole('row');
    await seen.sees(row.filter({ hasText: 'leap day' }));
    await seen.sees(row.filter({ hasText: 'Europe/Berlin' }));
    expect(await seen.page.locator('main').textContent()).toContain('1 pending');
  });

  itWithTool(
    'chromium',
    'have a list of schedules that says when it is not all of them',
    async () => {
      const stand = await Stand.shared();
      await stand.client.schedule('leap day', 'report', 'x', { cron: '0 0 29 2 *' });
      const seen = await look(stand);
      let next: string | null = null;
      await seen.page.route('**/api/v1/titanic/schedules**', async (route) => {
        expect(new URL(route.request().url()).searchParams.get('limit')).toBe('1000');
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...((await response.json()) as object), next } });
      });
      await seen.goes('#/durable');
      await seen.seesText('next first');
      next = 'more';
      await seen.seesText('only the next 1,000 are shown');
    },
  );

  itWithTool('chromium', 'show why they failed, in the list and in their history', async () => {
    const stand = await Stand.shared();
    await fragile(stand, 'explained');
    const [uuid = ''] = await stand.submitsDead('explained', 1);
    await stand.client.submit('unserved', 'x');
    const { token } = stand;
    const list = await ask(`${stand.url}/api/v1/titanic/requests?state=dead`, { token });
    const { items } = list.json as { readonly items: readonly { readonly reason: string }[] };
    const reason = items[0]?.reason ?? '';
    expect(reason).toMatch(/\w/);
    const seen = await look(stand, '#/durable');
    await seen.sees(seen.row('explained'));
    await seen.reads(seen.row('explained').locator('.reason'), ['']);
    await seen.enters(token);
    await seen.reads(seen.row('explained').locator('.reason'), [reason]);
    await seen.reads(seen.row('unserved').locator('.reason'), ['']);
    await seen.goes(`#/durable/${uuid}`);
    await seen.sees(seen.page.locator('.timeline .bad', { hasText: reason }));
  });

  itWithTool('chromium', 'show texts of workers as plain text', async () => {
    const stand = await Stand.shared();
    await fragile(stand, 'told');
    const [uuid = ''] = await stand.submitsDead('told', 1);
    const seen = await look(stand);
    const hostile = '<img src=x onerror=alert(1)>\u001b[31m\u202e';
    const harmless = '<img src=x onerror=alert(1)>\ufffd[31m\ufffd';
    await seen.page.route('**/api/v1/titanic/requests**', async (route) => {
      const response = await route.fetch();
      const answer = (await response.json()) as {
        readonly items?: readonly object[];
        readonly deliveries?: readonly object[];
      };
      const detail = [
        { encoding: 'utf8', data: `${hostile}\nat line 2` },
        { encoding: 'base64', data: 'AAEC' },
      ];
      const failure = { kind: 'final', code: 'card_declined', text: hostile, detail };
      const json =
        answer.items === undefined
          ? { ...answer, deliveries: answer.deliveries?.map((each) => ({ ...each, failure })) }
          : { ...answer, items: answer.items.map((each) => ({ ...each, reason: hostile })) };
      await route.fulfill({ response, json });
    });
    await seen.goes('#/durable');
    await seen.reads(seen.row('told').locator('.reason'), [harmless]);
    await seen.goes(`#/durable/${uuid}`);
    const step = seen.page.locator('.timeline .warn');
    await seen.sees(step.getByText('card_declined', { exact: true }));
    expect(await step.textContent()).toContain(` ${harmless} Final: the broker does not retry it.`);
    expect(await step.locator('pre').allTextContents()).toEqual([
      `${harmless}\nat line 2`,
      '(not text; base64) AAEC',
    ]);
    expect(await seen.page.locator('main img').count()).toBe(0);
    await seen.page.unrouteAll({ behavior: 'wait' });
  });

  itWithTool('chromium', 'show bodies as JSON, text and hex, to holders of the token', async () => {
    const stand = await Stand.open({ sets: ['titanic.showBodies=true'] });
    const json = '{"id":12345678901234567890,"list":[],"html":"<img src=x onerror=alert(1)>"}';
    const { uuid } = await stand.client.submit('later', [json, 'no \u001b JSON']);
    const seen = await look(stand, `#/durable/${uuid}`);
    const frames = seen.page.locator('.bodies pre');
    await seen.sees(seen.button('Show bodies'));
    await seen.counts(frames, 0);
    await seen.button('Show bodies').click();
    await enterToken(seen, stand.token);
    await seen.reads(frames, [
      '{\n  "id": 12345678901234567890,\n  "list": [],\n  "html": "<img src=x onerror=alert(1)>"\n}',
      'no \ufffd JSON',
    ]);
    await seen.seesText('None.');
    await seen.page.getByLabel('Show bodies as').selectOption('text');
    await seen.reads(frames, [json, 'no \ufffd JSON']);
    await seen.page.getByLabel('Show bodies as').selectOption('hex');
    await seen.seesText('6e 6f 20 1b 20 4a 53 4f 4e');
    expect(await seen.page.locator('main img').count()).toBe(0);
    await seen.button('Hide bodies').click();
    await seen.counts(frames, 0);
    // A binary body is shown as hex at first, and a large one is marked as truncated.
    const { uuid: large } = await stand.client.submit('later', Buffer.alloc(200_000, 0xff));
    await seen.goes(`#/durable/${large}`);
    await seen.button('Show bodies').click();
    await seen.seesText('195 KiB, truncated, 1 frame');
    expect(await frames.first().textContent()).toMatch(/^00000000 {2}(ff ){16} \.{16}\n/);
  });

  itWithTool('chromium', 'show no bodies unless titanic.showBodies is true', async () => {
    const stand = await Stand.shared();
    const { uuid } = await stand.client.submit('later', 'x');
    const seen = await look(stand, `#/durable/${uuid}`);
    await seen.seesText('no worker serves its service');
    await seen.counts(seen.button('Show bodies'), 0);
  });

  itWithTool('chromium', 'show whole uuids and histories only with a token', async () => {
    const stand = await Stand.shared();
    const { uuid } = await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable');
    await seen.button(`${uuid.slice(0, 16)}…`).click();
    await enterToken(seen, stand.token);
    await seen.page.getByRole('link', { name: uuid }).click();
    await seen.sees(seen.page.getByRole('heading', { name: uuid }));
  });

  itWithTool('chromium', 'have a history, and are retried with the token', async () => {
    const stand = await Stand.shared();
    const work = await fragile(stand);
    const [uuid = ''] = await stand.submitsDead('work', 1);
    const seen = await look(stand, `#/durable/${uuid}`);
    await seen.sees(seen.page.getByText('Accepted', { exact: true }));
    await seen.seesText(/Delivered to worker \d+/);
    await seen.sees(seen.page.getByText('Dead', { exact: true }));
    work.isBroken = false;
    await seen.button('Retry').click();
    await enterToken(seen, 'not-the-token-at-all');
    await seen.seesText('Wrong token.');
    await enterToken(seen, stand.token);
    await seen.seesText(/Replied/);
    await seen.sees(seen.page.locator('main .pill', { hasText: 'replied' }));
    // Only this tab has the token.
    const other = await look(stand);
    await other.sees(other.button('Enter the token'));
    await seen.sees(seen.button('Forget the token'));
    // The browser logs the expected 401 as an error on its console.
    seen.mayLose = true;
  });

  itWithTool('chromium', 'of one service are retried together', async () => {
    const stand = await Stand.shared();
    const work = await fragile(stand, 'together');
    await stand.submitsDead('together', 3);
    const seen = await look(stand, '#/services/together');
    work.isBroken = false;
    await seen.button('Retry all dead').click();
    await enterToken(seen, stand.token);
    await seen.button('Retry 3 requests').click();
    await seen.seesText('3 retried');
    await seen.gone(seen.button('Retry all dead'));
    await seen.goes('#/durable?service=together&state=dead');
    await seen.seesText('No requests');
  });

  itWithTool('chromium', 'are cancelled after a confirmation', async () => {
    const stand = await Stand.shared();
    const { uuid } = await stand.client.submit('later', 'x');
    const seen = await look(stand, `#/durable/${uuid}`);
    await seen.button('Enter the token').click();
    await enterToken(seen, stand.token);
    await seen.button('Cancel').click();
    await seen.page.keyboard.press('Escape');
    await seen.sees(seen.button('Cancel'));
    await seen.button('Cancel').click();
    seen.mayLose = true;
    await seen.button('Cancel the request').click();
    await seen.seesText('Not found');
  });

  itWithTool('chromium', 'are listed in pages, newest first', async () => {
    const stand = await Stand.open();
    for (let index = 0; index < 55; index++) await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable');
    await seen.sees(seen.row('later').nth(49));
    await seen.button('Older').click();
    await seen.gone(seen.row('later').nth(5));
    await seen.counts(seen.row('later'), 5);
    await seen.button('Newer').click();
    await seen.sees(seen.row('later').nth(49));
  });
});
