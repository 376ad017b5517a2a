/**
 * Real Chromium on a real daemon. `Look.faults` collects console errors of a page, exceptions, and
 * requests to other hosts. Every test checks at its end that there are none.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core';

import { Client } from '../../src/sdk/client.js';
import { type Handler, Worker } from '../../src/sdk/worker.js';
import { occurrences, untilLogged } from '../process/broker/support.js';
import { killAll } from '../support/child.js';
import { type Daemon, type DaemonOptions, removeDaemons, startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { httpOf, tokenOf } from '../support/http.js';
import { toolAvailable } from '../support/tools.js';
import { silent } from '../support/silent.js';
import { Patience, PATIENCE_MS } from '../support/patience.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Counts the pixels of a chart that have about the colour of a series. */
const PIXELS = `(chart, label) => {
  const card = [...document.querySelectorAll('.chart')].find(({ ariaLabel }) => ariaLabel === chart);
  const canvas = card?.querySelector('canvas');
  const mark = [...(card?.querySelectorAll('.figure .label') ?? [])]
    .find(({ textContent }) => textContent === label);
  if (!canvas || !mark || canvas.width === 0) return 0;
  const wanted = getComputedStyle(mark, '::before').backgroundColor.match(/\\d+/g).map(Number);
  const copy = new OffscreenCanvas(canvas.width, canvas.height)
    .getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const isLine = data[at + 3] > 200;
    if (isLine && [0, 1, 2].every((part) => Math.abs(data[at + part] - wanted[part]) < 12)) count++;
  }
  return count;
}`;

let browser: Browser | null = null;
const contexts: BrowserContext[] = [];
const looks: Look[] = [];
const closing: (() => Promise<void>)[] = [];
/** Of `Stand.shared`. */
let shared: Daemon | null = null;

/** For `beforeAll`. Does nothing without Chromium: then all cases are skipped. */
export async function openBrowser(): Promise<void> {
  if (!toolAvailable('chromium')) return;
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
}

/** For `afterAll`. */
export async function closeBrowser(): Promise<void> {
  await browser?.close();
  browser = null;
  await removeDaemons();
  shared = null;
}

/** For `afterEach`. Fails if a page had faults. */
export async function cleanUp(): Promise<void> {
  const faults = looks.splice(0).flatMap((look) => look.faults);
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await Promise.all(closing.splice(0).map((close) => close()));
  await killAll(...(shared === null ? [] : [shared]));
  expect(faults).toEqual([]);
}

/** A daemon with HTTP, its workers and a client. */
export class Stand {
  readonly daemon: Daemon;
  readonly url: string;
  readonly client: Client;

  constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.url = httpOf(daemon);
    this.client = new Client({ endpoints: [daemon.endpoint], timeoutMs: PATIENCE_MS });
    closing.push(() => this.client.close());
  }

  static async open(options: DaemonOptions = {}): Promise<Stand> {
    const sets = ['http.listen=127.0.0.1:0', 'node.name=left', ...(options.sets ?? [])];
    return new Stand(await startDaemon({ ...options, sets }));
  }

  /** For a case that does not see what others of its file have left in the daemon. */
  static async shared(): Promise<Stand> {
    if (shared === null) {
      const stand = await Stand.open();
      shared = stand.daemon;
      return stand;
    }
    return new Stand(shared);
  }

  get token(): string {
    return tokenOf(this.daemon);
  }

  /** Starts a worker with `handler`, and waits until it is registered. */
  async works(
    service: string,
    handler: Handler = ({ frames }) => frames,
    name?: string,
  ): Promise<void> {
    const before = this.daemon.logged('worker.registered').length;
    const options = { endpoints: [this.daemon.endpoint], service };
    const worker = new Worker(name === undefined ? options : { ...options, name }, handler);
    closing.push(() => worker.close({ graceMs: 0 }));
    void silent(worker).run();
    await this.daemon.waitFor('worker.registered', before + 1);
  }

  /** Sends requests, one after another, until `work` is done. */
  async whileAsking(service: string, work: () => Promise<void>): Promise<void> {
    const over = new AbortController();
    const load = (async (): Promise<void> => {
      while (!over.signal.aborted) await this.client.request(service, 'x');
    })();
    try {
      await work();
    } finally {
      over.abort();
      await load;
    }
  }

  /** Submits requests with a single attempt, which the worker makes fail, and waits until they are dead. */
  async submitsDead(service: string, count: number): Promise<readonly string[]> {
    const before = occurrences(this.daemon, 'titanic.died');
    const uuids: string[] = [];
    for (let index = 0; index < count; index++) {
      uuids.push((await this.client.submit(service, 'body', { maxAttempts: 1 })).uuid);
    }
    await untilLogged(this.daemon, 'titanic.died', {}, before + count);
    return uuids;
  }
}

/**
 * Opens the nodes of a pair, the primary first.
 * @param page the `http.publicUrl` of a node, by its name
 * @param sets further options of both
 */
export async function openPair(
  page: ((name: string) => string) | null = null,
  sets: readonly string[] = [],
): Promise<readonly [Stand, Stand]> {
  const [one = 0, other = 0] = await freePorts(2);
  const node = (role: string, name: string, own: number, peer: number): Promise<Stand> => {
    const ofNode = [
      ...(page === null ? [] : [`http.publicUrl=${page(name)}`]),
      `node.name=${name}`,
      `bstar.role=${role}`,
      // The browser keeps the machine busy.
      'bstar.heartbeatIntervalMs=2500',
      `bstar.listen=tcp://127.0.0.1:${own}`,
      `bstar.peer=tcp://127.0.0.1:${peer}`,
    ];
    return Stand.open({ sets: [...ofNode, ...sets] });
  };
  return await Promise.all([
    node('primary', 'left', one, other),
    node('backup', 'right', other, one),
  ]);
}

/** One open page. */
export class Look {
  readonly page: Page;
  readonly url: string;
  readonly #faults: string[] = [];
  /** Ignores failed requests, for tests in which the daemon is away or refuses. */
  mayLose = false;

  constructor(page: Page, url: string) {
    this.page = page;
    this.url = url;
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => {
      this.#faults.push(`thrown: ${error.message}`);
    });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.#faults.push(`console: ${message.text()}`);
      }
    });
    page.on('dialog', (dialog) => {
      this.#faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) this.#faults.push(`asked ${request.url()}`);
    });
  }

  get faults(): readonly string[] {
    if (!this.mayLose) return this.#faults;
    return this.#faults.filter((fault) => !/Failed to load resource|ERR_/.test(fault));
  }

  async goes(place: string): Promise<void> {
    await this.page.goto(`${this.url}/${place}`);
  }

  /** Enters the token, which a page without one offers. */
  async enters(token: string): Promise<void> {
    await this.button('Enter the token').click();
    await this.page.getByLabel('Token', { exact: true }).fill(token);
    await this.page.keyboard.press('Enter');
  }

  /** Waits until it is visible. */
  async sees(locator: Locator): Promise<void> {
    await locator.first().waitFor({ state: 'visible' });
  }

  async seesText(text: string | RegExp): Promise<void> {
    // An option of a closed list is invisible, and would be found first.
    await this.sees(this.page.getByText(text).and(this.page.locator(':visible')));
  }

  async gone(locator: Locator): Promise<void> {
    await locator.first().waitFor({ state: 'hidden' });
  }

  /** Waits until exactly these texts are there: the page redraws itself. */
  async reads(locator: Locator, texts: readonly string[]): Promise<void> {
    const read = (): Promise<string[]> => locator.allTextContents();
    expect(await settled(read, (now) => now.join('\0') === texts.join('\0'))).toEqual(texts);
  }

  /** Waits until there are this many elements. */
  async counts(locator: Locator, count: number): Promise<void> {
    expect(
      await settled(
        () => locator.count(),
        (now) => now === count,
      ),
    ).toBe(count);
  }

  /** Waits until the canvas of a chart has a line in the colour of this series, by its label. */
  async draws(chart: string, label: string): Promise<void> {
    const count = (): Promise<number> =>
      this.page.evaluate<number>(`(${PIXELS})(${JSON.stringify(chart)}, ${JSON.stringify(label)})`);
    expect(await settled(count, (now) => now > 0)).toBeGreaterThan(0);
  }

  /** Waits until the cell below this head has this text, in the first row that begins with `row`. */
  async readsCell(row: string, head: string, text: string): Promise<void> {
    const read = (): Promise<string> =>
      this.page.evaluate<string>(`(() => {
        const row = [...document.querySelectorAll('main tbody tr')]
          .find(({ textContent }) => textContent.startsWith(${JSON.stringify(row)}));
        const heads = [...(row?.closest('table').querySelectorAll('th') ?? [])];
        const at = heads.findIndex(({ textContent }) => textContent === ${JSON.stringify(head)});
        return row?.children[at]?.textContent ?? '(no such cell)';
      })()`);
    expect(await settled(read, (now) => now === text)).toBe(text);
  }

  /** What axe finds that is serious or critical, as `rule: element`. */
  async axe(): Promise<readonly string[]> {
    await this.page.evaluate(AXE);
    return await this.page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))`);
  }

  row(text: string | RegExp): Locator {
    return this.page.getByRole('row').filter({ hasText: text });
  }

  link(name: string): Locator {
    return this.page.getByRole('link', { name, exact: true });
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }
}

/** Calls `read` until its result is as wanted, and returns the last result. */
async function settled<T>(read: () => Promise<T>, isWanted: (now: T) => boolean): Promise<T> {
  const patience = new Patience();
  for (;;) {
    const now = await read();
    if (isWanted(now) || patience.isOver) return now;
    await patience.pause(20);
  }
}

/** Opens a page on a daemon. */
export async function look(
  { url }: { readonly url: string },
  place = '',
  options: BrowserContextOptions = {},
): Promise<Look> {
  if (browser === null) throw new Error('openBrowser was not called');
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  contexts.push(context);
  const made = new Look(await context.newPage(), url);
  looks.push(made);
  await made.goes(place);
  return made;
}
