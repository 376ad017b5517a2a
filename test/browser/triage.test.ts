import { ask } from '../support/http.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

/** Makes requests dead of two reasons, and then has the worker succeed. */
async function twoReasons(
  stand: Stand,
  service: string,
  trays: number,
  fires: number,
): Promise<void> {
  let handled = 0;
  await stand.works(service, ({ frames }) => {
    handled++;
    if (handled <= trays) throw new Error(`tray ${handled} is empty`);
    if (handled <= trays + fires) throw new Error('the printer burns');
    return frames;
  });
  await stand.submitsDead(service, trays + fires);
}

/** How many are dead, by the pattern of their reason. */
async function deadOf(stand: Stand, service: string): Promise<Readonly<Record<string, number>>> {
  const path = `/api/v1/titanic/groups?by=reason&state=dead&service=${service}`;
  const { json } = await ask(stand.url + path, { token: stand.token });
  const { items } = json as {
    readonly items: readonly { readonly filter: { pattern: string }; readonly count: number }[];
  };
  return Object.fromEntries(items.map(({ filter, count }) => [filter.pattern, count]));
}

async function opened(stand: Stand, place: string): Promise<Look> {
  const seen = await look(stand, place);
  await seen.enters(stand.token);
  return seen;
}

describe('triage on the page (issue 37)', () => {
  itWithTool('chromium', 'retries all of one reason, and leaves the rest', async () => {
    const stand = await Stand.shared();
    await twoReasons(stand, 'print.two', 150, 60);
    const before = await deadOf(stand, 'print.two');
    expect(Object.values(before)).toEqual([150, 60]);
    const seen = await opened(stand, '#/durable?service=print.t*&state=dead');
    const reasons = seen.page.getByRole('table', { name: 'Reasons' }).getByRole('row');
    await seen.sees(reasons.filter({ hasText: '60' }).filter({ hasText: 'the printer burns' }));
    const named = /^All 150 of this reason: Error tray # is empty$/;
    await reasons.getByRole('checkbox', { name: named }).check();
    await seen.gone(seen.page.locator('td .reason').getByText('the printer burns').nth(1));
    expect(await seen.axe()).toEqual([]);
    await seen.button('Retry').click();
    await seen.sees(seen.page.getByRole('heading', { name: 'Retry 150 requests?' }));
    await seen.button('Retry 150 requests').click();
    await seen.seesText('press again');
    await seen.seesText(/^service print\.t\* · state dead · .* tray # is empty$/);
    expect(await deadOf(stand, 'print.two')).toEqual(before);
    await seen.button('Retry 150 requests').click();
    await seen.seesText('150 retried');
    // The button is off now: whoever has no mouse goes on in the view.
    await seen.sees(seen.page.locator('main:focus'));
    const [, fires = ''] = Object.keys(before);
    expect(await deadOf(stand, 'print.two')).toEqual({ [fires]: 60 });
    // What has been retried is not chosen any more: the rest is shown, and none of it is ticked.
    const listed = seen.page.getByRole('table', { name: 'Durable requests' });
    await seen.sees(listed.getByText('the printer burns'));
    await seen.counts(seen.page.getByRole('checkbox', { checked: true }), 0);
    expect(seen.page.url()).not.toContain('group=');
    expect(await deadOf(stand, 'print.two')).toEqual({ [fires]: 60 });
  });

  itWithTool('chromium', 'is off for what cannot be retried, purged or cancelled', async () => {
    const stand = await Stand.open();
    await stand.works('answered');
    await stand.client.submit('answered', 'x');
    for (let n = 0; n < 60; n++) await stand.client.submit('later', 'x');
    const seen = await opened(stand, '#/durable?service=later');
    const isOn = async (verb: string): Promise<boolean> => await seen.button(verb).isEnabled();
    const all = seen.page.getByLabel('All found');
    await all.check();
    // More than one page, and without a state that was chosen.
    await seen.sees(seen.page.getByRole('button', { name: 'Cancel', disabled: false }));
    expect([await isOn('Retry'), await isOn('Purge')]).toEqual([false, false]);
    // A chosen state may be purged.
    await seen.goes('#/durable?service=later&state=pending');
    await all.check();
    await seen.sees(seen.page.getByRole('button', { name: 'Purge', disabled: false }));
    expect([await isOn('Retry'), await isOn('Cancel')]).toEqual([false, true]);
    // All of it is shown.
    await seen.goes('#/durable?service=answered');
    await seen.sees(seen.row('replied'));
    await all.check();
    await seen.sees(seen.page.getByRole('button', { name: 'Purge', disabled: false }));
    expect([await isOn('Retry'), await isOn('Cancel')]).toEqual([false, false]);
    // One that was dead when it was chosen, and is not any more.
    let isBroken = true;
    await stand.works('mended', ({ frames }) => {
      if (isBroken) throw new Error('no paper');
      return frames;
    });
    const [uuid = ''] = await stand.submitsDead('mended', 1);
    await seen.goes('#/durable?service=mended');
    await seen.page.getByRole('checkbox', { name: `Select ${uuid}` }).check();
    await seen.sees(seen.button('Retry 1'));
    isBroken = false;
    const headers = { 'content-type': 'application/json' };
    const order = { method: 'POST', token: stand.token, headers, body: '{}' };
    await ask(`${stand.url}/api/v1/titanic/requests/${uuid}/retry`, order);
    await seen.sees(seen.page.getByRole('button', { name: 'Retry', exact: true, disabled: true }));
    await seen.goes(`#/durable/${uuid}`);
    await seen.sees(seen.page.locator('main .pill', { hasText: 'replied' }));
    await seen.counts(seen.button('Retry'), 0);
  });

  itWithTool('chromium', 'tells what came of it until another view is shown', async () => {
    const stand = await Stand.shared();
    await twoReasons(stand, 'print.told', 2, 0);
    const seen = await opened(stand, '#/durable?service=print.told');
    await seen.page.getByLabel('All found').check();
    await seen.button('Retry').click();
    await seen.button('Retry 2 requests').click();
    const bar = seen.page.getByRole('region', { name: 'Command' });
    await seen.sees(bar.filter({ hasText: '2 retried' }));
    await seen.link('Services').click();
    await seen.sees(seen.page.getByRole('heading', { name: 'Services' }));
    await seen.gone(bar);
  });

  itWithTool('chromium', 'can be stopped between pieces', async () => {
    const stand = await Stand.shared();
    await twoReasons(stand, 'print.stop', 130, 0);
    const seen = await opened(stand, '#/durable?service=*nt.stop*');
    let pieces = 0;
    await seen.page.route('**/api/v1/titanic/purge', async (route) => {
      const body = route.request().postDataJSON() as { readonly dryRun?: boolean };
      if (body.dryRun === true) {
        await route.continue();
        return;
      }
      pieces++;
      if (pieces === 2) await seen.button('Stop').click();
      await route.continue({ postData: JSON.stringify({ ...body, limit: 50 }) });
    });
    await seen.page.getByLabel('All found').check();
    await seen.button('Purge').click();
    await seen.button('Purge 130 requests').click();
    await seen.button('Purge 130 requests').click();
    await seen.seesText('stopped after 100');
    // The rest is chosen as before.
    expect(await seen.page.getByLabel('All found').isChecked()).toBe(true);
    expect(Object.values(await deadOf(stand, 'print.stop'))).toEqual([30]);
    await seen.button('Close').click();
    await seen.gone(seen.page.getByText('stopped after 100'));
    await seen.sees(seen.page.locator('main:focus'));
  });

  itWithTool('chromium', 'acts on single requests, and says which it left alone', async () => {
    const stand = await Stand.shared();
    await twoReasons(stand, 'print.few', 3, 0);
    const seen = await opened(stand, '#/durable?service=print.few');
    const rows = seen.page.getByRole('table', { name: 'Durable requests' }).getByRole('checkbox');
    await rows.nth(0).check();
    await rows.nth(1).check();
    await seen.button('Cancel 2').click();
    await seen.button('Cancel 2 requests').click();
    await seen.seesText('2 cancelled');
    expect(Object.values(await deadOf(stand, 'print.few'))).toEqual([1]);
    await seen.counts(rows, 1);
    // The rest is retried by someone else while the page still shows it as dead.
    await rows.first().check();
    await seen.button('Retry 1').click();
    await ask(`${stand.url}/api/v1/titanic/retry`, {
      token: stand.token,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ service: 'print.few' }),
    });
    seen.mayLose = true;
    await seen.button('Retry 1 request').click();
    await seen.seesText('0 retried, 1 not: they have changed meanwhile');
  });

  itWithTool('chromium', 'has filters that survive a reload', async () => {
    const stand = await Stand.shared();
    await stand.client.submit('filtered', 'x', { headers: { tenant: 'acme' } });
    await stand.client.submit('filtered', 'x', { headers: { tenant: 'other' } });
    const seen = await opened(stand, '#/durable?service=filtered');
    await seen.counts(seen.row('filtered'), 2);
    await seen.page.getByLabel('Header, key=value').fill('tenant=acme');
    await seen.page.getByLabel('Since').fill('1h');
    await seen.page.getByLabel('Before').fill('1d');
    await seen.button('Search').click();
    await seen.seesText('No requests');
    await seen.page.getByLabel('Before').fill('');
    await seen.page.keyboard.press('Enter');
    await seen.counts(seen.row('filtered'), 1);
    expect(seen.page.url()).toContain('header=tenant%3Dacme');
    await seen.page.reload();
    await seen.counts(seen.row('filtered'), 1);
    expect(await seen.page.getByLabel('Header, key=value').inputValue()).toBe('tenant=acme');
    expect(await seen.page.getByLabel('Since').inputValue()).toBe('1h');
    // A wrong value is told, and nothing is asked that needs a token the page does not have.
    await seen.button('Forget the token').click();
    await seen.seesText('These filters need a token.');
    await seen.seesText('Reasons and commands need a token.');
    seen.mayLose = true;
    await seen.goes('#/durable?since=yesterday');
    await seen.seesText('must be a time in ISO 8601');
  });

  itWithTool('chromium', 'pauses and resumes a service', async () => {
    const stand = await Stand.shared();
    await stand.works('held');
    const seen = await opened(stand, '#/services/held');
    await seen.button('Pause').click();
    await seen.button('Pause the service').click();
    await seen.sees(seen.page.locator('.state', { hasText: 'Paused: 0 requests waiting' }));
    await stand.client.submit('held', 'x');
    await seen.sees(seen.page.locator('.state', { hasText: 'Paused: 1 request waiting' }));
    await seen.button('Resume').click();
    await seen.gone(seen.page.locator('.state', { hasText: 'Paused' }));
    await seen.sees(seen.link('1 replied'));
  });

  itWithTool(
    'chromium',
    'limits a service, says what holds, and takes the limits away',
    async () => {
      const stand = await Stand.shared();
      await stand.works('narrow');
      const seen = await opened(stand, '#/services/narrow');
      await seen.button('Limit').click();
      await seen.button('Set the limits').click();
      await seen.seesText('Enter at least one limit.');
      await seen.page.getByLabel('Run at once', { exact: true }).fill('2');
      await seen.page.getByLabel('Of each group: start per second').fill('0.5');
      await seen.button('Set the limits').click();
      await seen.seesText(
        'Limits: 2 running; each group 0.5 per second (burst 1), on failure pass; set by http.token',
      );
      await seen.button('Limit').click();
      expect(await seen.page.getByLabel('Run at once', { exact: true }).inputValue()).toBe('2');
      await seen.button('Back').click();
      await seen.button('Unlimit').click();
      await seen.button('Take the limits away').click();
      await seen.gone(seen.page.getByText('each group 0.5 per second'));
      await seen.gone(seen.button('Unlimit'));
    },
  );

  itWithTool('chromium', 'pauses, resumes, fires and ends a schedule', async () => {
    const stand = await Stand.shared();
    await stand.client.schedule('leap day', 'leaping', 'x', { cron: '0 0 29 2 *' });
    const seen = await look(stand, '#/durable?service=leaping');
    await seen.seesText('need a token');
    await seen.enters(stand.token);
    const row = seen.page.getByRole('table', { name: 'Schedules' }).getByRole('row');
    const schedule = row.filter({ hasText: 'leap day' });
    await schedule.getByRole('button', { name: 'Pause' }).click();
    await seen.sees(schedule.locator('.pill', { hasText: 'paused' }));
    await schedule.getByRole('button', { name: 'Resume' }).click();
    await seen.gone(schedule.locator('.pill'));
    await schedule.getByRole('button', { name: 'Fire now' }).click();
    await seen.sees(
      seen.page.getByRole('table', { name: 'Durable requests' }).getByText('pending'),
    );
    await schedule.getByRole('button', { name: 'End' }).click();
    await seen.button('End the schedule').click();
    await seen.gone(schedule);
  });
});
