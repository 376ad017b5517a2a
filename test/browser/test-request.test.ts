import { itWithTool } from '../support/tools.js';
import { cleanUp, closeBrowser, type Look, look, openBrowser, Stand } from './support.js';

beforeAll(openBrowser);
afterEach(cleanUp);
afterAll(closeBrowser);

const TOKEN = 'the-token-of-the-page';
const PROGRAM = `http.tokens=[{name: page, role: request, token: ${TOKEN}, client: [upper, two, poor, slow]}]`;

/** In upper case, byte by byte. */
const upper = ({ frames }: { readonly frames: readonly Buffer[] }): Buffer[] =>
  frames.map((frame) =>
    Buffer.from(frame.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte))),
  );

async function opened(stand: Stand, service: string): Promise<Look> {
  const seen = await look(stand, `#/services/${service}`);
  await seen.button('Write one').click();
  return seen;
}

async function sends(seen: Look, body: string, token = TOKEN): Promise<void> {
  await seen.page.getByLabel('Body', { exact: true }).fill(body);
  await seen.page.getByLabel('Token with role: request').fill(token);
  await seen.button('Send').click();
}

/** Waits until the outcome says this. */
async function reads(seen: Look, text: string | RegExp): Promise<void> {
  await seen.sees(seen.page.locator('[role=status] .state', { hasText: text }));
}

describe('a test request on the page (issue 37)', () => {
  itWithTool('chromium', 'shows the reply, its status and its time', async () => {
    const stand = await Stand.open({ sets: [PROGRAM] });
    await stand.works('upper', upper);
    const seen = await opened(stand, 'upper');
    await sends(seen, 'hello');
    await reads(seen, /^200: a reply of 5 B after .*s\. $/);
    await seen.seesText('HELLO');
    await seen.page.getByLabel('The body is').selectOption('Hex');
    await sends(seen, '68 69\n00');
    await reads(seen, /^200: a reply of 3 B/);
    await seen.seesText('HI');
    await sends(seen, 'zz');
    await seen.seesText('The body is not hex.');
    await seen.page.getByLabel('The body is').selectOption('Base64');
    await sends(seen, 'aGkg/w==');
    await reads(seen, /^200: a reply of/);
    // Not text: as hex.
    await seen.seesText(/^00000000 {2}/);
    // What does not fit is not loaded.
    await seen.page.getByLabel('The body is').selectOption('Text');
    await sends(seen, 'a'.repeat(100_000));
    await reads(seen, /^200: a reply of 97.7 KiB/);
    await seen.seesText('97.7 KiB, truncated, 1 frame');
  });

  itWithTool('chromium', 'shows each frame of a reply on its own, with its size', async () => {
    const stand = await Stand.open({ sets: [PROGRAM] });
    await stand.works('two', ({ frames: [body] }) => [Buffer.from('{"a":1}'), body ?? '']);
    const seen = await opened(stand, 'two');
    const frames = seen.page.getByLabel(/^Reply, frame/);
    await sends(seen, '--x y');
    await reads(seen, /^200: a reply of 12 B after/);
    await seen.seesText('Frame 2: 5 B');
    await seen.page.getByLabel('Show bodies as').selectOption('Text');
    await seen.reads(frames, ['{"a":1}', '--x y']);
    await sends(seen, 'a'.repeat(100_000));
    await reads(seen, /^200: a reply of 97.7 KiB after/);
    await seen.seesText('97.7 KiB, truncated, 2 frames');
  });

  itWithTool('chromium', 'is stored if it is durable, with a link to it', async () => {
    const stand = await Stand.open({ sets: [PROGRAM] });
    await stand.works('upper', upper);
    const seen = await opened(stand, 'upper');
    await seen.enters(stand.token);
    await seen.page.getByLabel('Kind').selectOption('Durable: store the request');
    await sends(seen, 'hello');
    await reads(seen, /^202: stored after/);
    await seen.page.locator('.state .uuid a').click();
    await seen.sees(seen.page.getByText('Replied by worker'));
  });

  itWithTool('chromium', 'says by its code why there is no reply, and what to set', async () => {
    const stand = await Stand.open({ sets: [PROGRAM] });
    await stand.works('poor', () => {
      throw new Error('no paper');
    });
    await stand.works('slow', () => new Promise<Buffer[]>(() => undefined));
    await stand.works('secret');
    const seen = await opened(stand, 'poor');
    seen.mayLose = true;
    await sends(seen, 'hello');
    await reads(seen, '422 ERR_HTTP_FAILED Error: no paper, after');
    await sends(seen, 'hello', 'another-token-than-that');
    await reads(seen, '401 ERR_HTTP_TOKEN');
    await seen.seesText('Give the token of an entry of http.tokens that has role: request.');
    await sends(seen, 'hello', stand.token);
    await reads(seen, '403 ERR_HTTP_ROLE');
    await seen.goes('#/services/slow');
    await seen.button('Write one').click();
    await seen.page.getByLabel('Deadline in seconds').fill('0.2');
    await sends(seen, 'hello');
    await reads(seen, '504 ERR_HTTP_EXPIRED');
    // One that takes long is given up.
    await seen.page.getByLabel('Deadline in seconds').fill('600');
    await sends(seen, 'hello');
    await seen.button('Give up').click();
    await seen.seesText('Given up.');
    await seen.goes('#/services/secret');
    await seen.button('Write one').click();
    // The token is kept.
    await seen.button('Send').click();
    await reads(seen, '403 ERR_HTTP_FORBIDDEN');
    await seen.seesText('Name this service in client of that entry of http.tokens.');
  });

  itWithTool('chromium', 'says what to set where programs send no requests', async () => {
    const stand = await Stand.open();
    await stand.works('upper', upper);
    const seen = await opened(stand, 'upper');
    await seen.seesText('This node takes no requests over HTTP.');
    expect(await seen.button('Send').count()).toBe(0);
  });
});
