import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';

import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** A worker of `work` that fails as long as `isBroken`. */
async function fragile(stand: Stand): Promise<{ isBroken: boolean }> {
  const state = { isBroken: true };
  await stand.works('work', ({ frames }) => {
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
    const stand = await Stand.open();
    await fragile(stand);
    const [dead = ''] = await stand.submitsDead('work', 1);
    const { uuid: pending } = await stand.client.submit('later', 'x');
    await stand.daemon.waitFor('titanic.died');
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
    await seen.seesText('for a free worker');
    const pill = await seen.page.locator('main .pill', { hasText: 'pending' }).boundingBox();
    expect(pill?.width).toBeLessThan(120);
  });

  itWithTool('chromium', 'have whole uuids and stories only with a token', async () => {
    const stand = await Stand.open();
    const { uuid } = await stand.client.submit('later', 'x');
    const seen = await look(stand, '#/durable');
    await seen.button(`${uuid.slice(0, 16)}…`).click();
    await enterToken(seen, stand.token);
    await seen.page.getByRole('link', { name: uuid }).click();
    await seen.sees(seen.page.getByRole('heading', { name: uuid }));
  });

  itWithTool('chromium', 'are told step by step, and retried with the token', async () => {
    const stand = await Stand.open();
    const work = await fragile(stand);
    const [uuid = ''] = await stand.submitsDead('work', 1);
    await stand.daemon.waitFor('titanic.died');
    const seen = await look(stand, `#/durable/${uuid}`);
    await seen.sees(seen.page.getByText('Accepted', { exact: true }));
    await seen.seesText(/Delivered to worker \d+/);
    await seen.sees(seen.page.getByText('Dead', { exact: true }));
    work.isBroken = false;
    await seen.button('Retry').click();
    await enterToken(seen, 'not-the-token-at-all');
    await seen.seesText('That token was wrong.');
    await enterToken(seen, stand.token);
    await seen.seesText(/Replied/);
    await seen.sees(seen.page.locator('main .pill', { hasText: 'replied' }));
    // In the tab alone: neither another one nor the next day has it.
    const other = await look(stand);
    await other.sees(other.button('Enter the token'));
    await seen.sees(seen.button('Forget the token'));
    // The daemon's 401 is an error on the browser's console, whoever asked.
    seen.mayLose = true;
  });

  itWithTool('chromium', 'of one service are retried together', async () => {
    const stand = await Stand.open();
    const work = await fragile(stand);
    await stand.submitsDead('work', 3);
    await stand.daemon.until(({ log }) => log.length > 0, 'a log');
    const seen = await look(stand, '#/durable?service=work&state=dead');
    await seen.sees(seen.row('work').nth(2));
    work.isBroken = false;
    await seen.button('Retry all dead').click();
    await seen.button('Retry them').click();
    await enterToken(seen, stand.token);
    await seen.seesText('3 requests are tried again');
    await seen.seesText('No such request');
  });

  itWithTool('chromium', 'are cancelled after a question', async () => {
    const stand = await Stand.open();
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
    await seen.seesText('Not here');
  });

  itWithTool('chromium', 'have pages of the older ones', async () => {
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
