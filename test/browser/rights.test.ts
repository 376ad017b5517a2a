import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const READER = 'http.tokens=[{name: desk, role: read, token: the-token-of-the-desk}]';
const WHOLE_UUID = /[\dA-F]{32}/;

describe('rights on the page (issue 82.2)', () => {
  itWithTool('chromium', 'end at once with the token: no whole uuid stays', async () => {
    const stand = await Stand.open();
    await stand.works('work', () => {
      throw new Error('no paper');
    });
    const [uuid = ''] = await stand.submitsDead('work', 1);
    for (const place of ['#/durable', '#/services/work', `#/durable/${uuid}`]) {
      const seen = await look(stand, place);
      seen.mayLose = true;
      await seen.enters(stand.token);
      await seen.sees(seen.page.getByText(uuid));
      // What was asked for without the token does not come before the page is read.
      await seen.page.route('**/api/**', (route) => route.abort());
      await seen.button('Forget the token').click();
      await seen.seesText('Token forgotten');
      expect(await seen.page.content()).not.toMatch(WHOLE_UUID);
      expect(seen.page.url()).not.toMatch(WHOLE_UUID);
      await seen.page.unrouteAll({ behavior: 'wait' });
    }
  });

  itWithTool(
    'chromium',
    'that only read are said beside the key, and commands are off',
    async () => {
      const stand = await Stand.open({ sets: [READER] });
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      const [uuid = ''] = await stand.submitsDead('work', 1);
      const seen = await look(stand, `#/durable/${uuid}`);
      await seen.enters('the-token-of-the-desk');
      await seen.sees(seen.page.locator('#access', { hasText: 'read only' }));
      const retry = seen.button('Retry');
      await seen.sees(retry.and(seen.page.locator(':disabled')));
      expect(await retry.getAttribute('title')).toContain('This token is read-only');
      await seen.goes('#/services/work');
      await seen.sees(seen.button('Pause').and(seen.page.locator(':disabled')));
      await seen.button('Forget the token').click();
      await seen.enters(stand.token);
      await seen.sees(seen.page.locator('#access', { hasText: 'operator' }));
      await seen.sees(seen.button('Pause').and(seen.page.locator(':enabled')));
    },
  );

  itWithTool('chromium', 'send one command, however often a button is pressed', async () => {
    const stand = await Stand.open();
    await stand.works('work', () => {
      throw new Error('no paper');
    });
    const [uuid = ''] = await stand.submitsDead('work', 1);
    const seen = await look(stand, `#/durable/${uuid}`);
    await seen.enters(stand.token);
    let sent = 0;
    const isPressed = Promise.withResolvers<undefined>();
    const isLoaded = Promise.withResolvers<undefined>();
    const request = `**/requests/${uuid}`;
    const retry = seen.button('Retry');
    await seen.sees(retry);
    // What was asked before the press, and comes after it, does not know what came of it.
    const early = seen.page.waitForResponse(request);
    const asks = seen.page.waitForRequest(request);
    await seen.page.route(request, async (route) => {
      await (sent === 0 ? isPressed : isLoaded).promise;
      await route.continue();
    });
    await seen.page.route('**/retry', async (route) => {
      sent++;
      isPressed.resolve(undefined);
      await (await early).finished();
      await route.continue();
    });
    await asks;
    await retry.dblclick();
    await seen.seesText('The request is pending again');
    await seen.sees(retry.and(seen.page.locator(':disabled')));
    isLoaded.resolve(undefined);
    await seen.sees(seen.page.getByText(/retried by/));
    await seen.sees(retry.and(seen.page.locator(':enabled')));
    expect(sent).toBe(1);
    await seen.page.unrouteAll({ behavior: 'wait' });
    await stand.client.schedule('leap day', 'report', 'x', { cron: '0 0 29 2 *' });
    await seen.goes('#/durable/schedules');
    const fire = seen.button('Fire now');
    await seen.sees(fire);
    const isShown = Promise.withResolvers<undefined>();
    let fired = 0;
    await seen.page.route('**/schedules/*/fire', async (route) => {
      fired++;
      await route.continue();
    });
    await seen.page.route('**/titanic/schedules?*', async (route) => {
      if (fired > 0) await isShown.promise;
      await route.continue();
    });
    await fire.dblclick({ delay: 200 });
    await seen.seesText('A request is stored');
    await seen.sees(fire.and(seen.page.locator(':disabled')));
    isShown.resolve(undefined);
    await seen.sees(fire.and(seen.page.locator(':enabled')));
    expect(fired).toBe(1);
    await seen.page.unrouteAll({ behavior: 'wait' });
  });

  itWithTool(
    'chromium',
    'a problem that was dismissed stays so when the page is loaded again',
    async () => {
      const stand = await Stand.open();
      await stand.works('work', () => {
        throw new Error('no paper');
      });
      await stand.submitsDead('work', 1);
      await stand.client.submit('nobody', 'x');
      const seen = await look(stand);
      const banner = seen.page.locator('#banner');
      await seen.sees(banner.filter({ hasText: 'failed for good' }));
      await seen.sees(banner.filter({ hasText: 'nobody, which has no worker.' }));
      await seen.button('Dismiss: Dead requests').click();
      await seen.gone(banner.getByText('failed for good'));
      const dismissNobody = seen.button('Dismiss: No worker');
      await dismissNobody.click();
      await seen.gone(banner);
      await seen.page.reload();
      await stand.client.submit('others', 'x');
      // The dismissed service is the first of two that have no worker, and stays dismissed.
      await seen.sees(seen.row('others'));
      await seen.page.reload();
      await seen.sees(seen.row('others'));
      await seen.gone(banner.getByText('failed for good'));
    },
  );
});
