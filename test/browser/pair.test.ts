import { afterAll, afterEach, beforeAll, describe, expect } from '@jest/globals';

import { freePorts } from '../support/free-ports.js';
import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

async function openPair(): Promise<readonly [Stand, Stand]> {
  const [one = 0, other = 0] = await freePorts(2);
  const node = (role: string, name: string, own: number, peer: number): Promise<Stand> => {
    const sets = [
      `node.name=${name}`,
      `bstar.role=${role}`,
      `bstar.listen=tcp://127.0.0.1:${own}`,
      `bstar.peer=tcp://127.0.0.1:${peer}`,
    ];
    return Stand.open({ sets });
  };
  return await Promise.all([
    node('primary', 'left', one, other),
    node('backup', 'right', other, one),
  ]);
}

describe('a pair on the page (issue 6.2)', () => {
  itWithTool('chromium', 'is shown from both sides, and handed over with the token', async () => {
    const [left, right] = await openPair();
    const active = await look(left, '#/pair');
    const passive = await look(right, '#/pair');
    // The daemon's 401 and 409 are errors on the browser's console, whoever asked.
    active.mayLose = true;
    await active.sees(active.page.locator('.link', { hasText: 'in sync' }));
    await passive.sees(passive.page.locator('#state', { hasText: 'passive' }));
    await passive.sees(passive.page.locator('#banner', { hasText: 'The other node is at tcp://' }));
    for (const each of [active, passive]) {
      await each.sees(each.link('Pair'));
      expect(await each.button('Promote').isVisible()).toBe(false);
    }
    expect(await passive.button('Switch over').isVisible()).toBe(false);
    await active.button('Switch over').click();
    await active.page.getByRole('dialog').getByRole('button', { name: 'Switch over' }).click();
    await active.page.getByLabel('Token', { exact: true }).fill(left.token);
    await active.page.keyboard.press('Enter');
    await passive.sees(passive.page.locator('#state', { hasText: 'active' }));
    await active.sees(active.page.locator('#state', { hasText: 'passive' }));
    await active.sees(active.row(/passive/));
    expect(await active.button('Switch over').isVisible()).toBe(false);
  });

  itWithTool(
    'chromium',
    'offers promotion where the other node is gone, and only there',
    async () => {
      const [left, right] = await openPair();
      const seen = await look(right, '#/pair');
      await seen.sees(seen.page.locator('.link', { hasText: 'connected' }));
      expect(await seen.button('Promote').isVisible()).toBe(false);
      await left.daemon.kill();
      await seen.sees(seen.button('Promote'));
      expect(await seen.button('Switch over').isVisible()).toBe(false);
    },
  );

  itWithTool('chromium', 'whose other node dies is told to stand alone', async () => {
    const [left, right] = await openPair();
    const seen = await look(left, '#/pair');
    await seen.sees(seen.page.locator('.link', { hasText: 'in sync' }));
    await seen.sees(seen.button('Switch over'));
    await right.daemon.kill();
    await seen.sees(seen.page.locator('#banner', { hasText: 'Not in sync' }));
    await seen.sees(seen.page.locator('.link', { hasText: 'no connection' }));
    // There is nobody to take over.
    await seen.gone(seen.button('Switch over'));
    expect(await seen.button('Promote').isVisible()).toBe(false);
  });
});
