/** Does what docs/operating.md says with those whom it is about: Prometheus, curl, openssl, systemd. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { atEnd, endAll } from '../../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf } from '../../support/http.js';
import { run } from '../../support/tarballs.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

afterEach(endAll);

const PAGE = readFileSync('docs/operating.md', 'utf8');

/** The section with that heading. */
function section(heading: string): string {
  const [, rest = ''] = PAGE.split(`\n${heading}\n`);
  return rest.split(/^#{1,3} /m)[0] ?? '';
}

/** The lines of shell of a section, for the folder of the test. */
function shellOf(heading: string, folder: string): string {
  const boxes = section(heading).matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm);
  const text = Array.from(boxes, ([, box = '']) => box).join('');
  expect(text).not.toBe('');
  return text.replaceAll('/etc/majordomo', folder);
}

/** What stands in backticks after `key:` in a section, in order. */
function settingsOf(heading: string, key: string, folder: string): string[] {
  const found = section(heading).matchAll(new RegExp(`\`(${key}: [^\`]+)\``, 'g'));
  return Array.from(found, ([, setting = '']) => setting.replaceAll('/etc/majordomo', folder));
}

interface Target {
  readonly health: string;
  readonly lastError: string;
  readonly lastScrape: string;
}

/** A Prometheus that scrapes a broker with the token of a file. */
class Scraper {
  readonly #file = join(temporaryDirectory(), 'prometheus.yml');
  readonly #target: string;
  #url = '';
  #pid = 0;

  constructor(daemon: Daemon) {
    this.#target = httpOf(daemon).replace('http://', '');
  }

  async start(tokenFile: string): Promise<this> {
    this.#configure(tokenFile);
    const [port = 0] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    this.#url = `http://${address}`;
    const data = `--storage.tsdb.path=${temporaryDirectory()}`;
    const args = [`--config.file=${this.#file}`, data, `--web.listen-address=${address}`];
    const process = spawn('prometheus', args, { stdio: 'ignore' });
    this.#pid = process.pid ?? 0;
    const ended = once(process, 'exit');
    atEnd(async () => {
      process.kill('SIGKILL');
      await ended;
    });
    await this.scrapes();
    return this;
  }

  #configure(file: string): void {
    const job = {
      job_name: 'majordomo',
      authorization: { credentials_file: file },
      static_configs: [{ targets: [this.#target] }],
    };
    // Long enough for a busy machine: a scrape that takes longer counts as one that failed.
    const global = { scrape_interval: '1s', scrape_timeout: '1s' };
    writeFileSync(this.#file, stringify({ global, scrape_configs: [job] }));
  }

  /** As `systemctl reload prometheus` does. */
  async reads(tokenFile: string): Promise<void> {
    this.#configure(tokenFile);
    process.kill(this.#pid, 'SIGHUP');
    await until(async () => {
      const answer = await fetch(`${this.#url}/api/v1/status/config`);
      return (await answer.text()).includes(tokenFile);
    }, 'Prometheus has reloaded its configuration');
    await this.scrapes();
  }

  async target(): Promise<Target | null> {
    const answer = await fetch(`${this.#url}/api/v1/targets`).catch(() => null);
    if (answer?.ok !== true) return null;
    const { data } = (await answer.json()) as { data: { activeTargets: Target[] } };
    return data.activeTargets[0] ?? null;
  }

  /** Waits until it has scraped again, twice. */
  async scrapes(): Promise<void> {
    const seen = new Set<string>();
    await until(async () => {
      const target = await this.target();
      if (target?.health === 'up') seen.add(target.lastScrape);
      return seen.size > 2;
    }, 'Prometheus scrapes');
  }

  /** The lowest `up` since it was started, of 1 and 0. */
  async lowest(): Promise<string | undefined> {
    const query = encodeURIComponent('min(min_over_time(up[1h]))');
    const answer = await fetch(`${this.#url}/api/v1/query?query=${query}`);
    const { data } = (await answer.json()) as {
      data: { result: { value: [number, string] }[] };
    };
    return data.result[0]?.value[1];
  }
}

describe('docs/operating.md: Replacing a token of HTTP', () => {
  const HEADING = '### Replacing a token of HTTP';
  /** The status that curl gets with the token in a file. */
  const curled = (daemon: Daemon, file: string): string => {
    const token = readFileSync(file, 'utf8').trim();
    const line = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--oauth2-bearer', token];
    return spawnSync('curl', [...line, `${httpOf(daemon)}/metrics`], { encoding: 'utf8' }).stdout;
  };

  async function scraped(): Promise<{
    readonly daemon: Daemon;
    readonly folder: string;
    readonly token: string;
    readonly configure: (tokenFile: string) => Promise<void>;
  }> {
    const folder = temporaryDirectory();
    const token = join(folder, 'prometheus.token');
    writeFileSync(token, 'the-first-secret-of-prometheus\n', { mode: 0o600 });
    const file = join(folder, 'majordomo.yaml');
    const write = (tokenFile: string): void => {
      writeFileSync(
        file,
        'http:\n  requireToken: true\n  tokens:\n' +
          `    - { name: prometheus, role: read, ${tokenFile} }\n`,
      );
    };
    write(`tokenFile: ${token}`);
    const daemon = await startDaemon({ file, sets: ['http.listen=127.0.0.1:0'] });
    let renewals = 0;
    const configure = async (tokenFile: string): Promise<void> => {
      write(tokenFile);
      daemon.signal('SIGHUP');
      await daemon.waitFor('http.tokens_renewed', ++renewals);
    };
    return { daemon, folder, token, configure };
  }

  itWithTool(
    'prometheus',
    'Prometheus is never without an answer, and the old secret gets 401 at the end',
    async () => {
      const { daemon, folder, token, configure } = await scraped();
      const next = join(folder, 'prometheus-2.token');
      const prometheus = await new Scraper(daemon).start(token);
      run('sh', ['-c', shellOf(HEADING, folder)], folder);
      const [both = '', one = '', ...others] = settingsOf(HEADING, 'tokenFile', folder);
      expect([both, one, others]).toEqual([
        `tokenFile: [${token}, ${next}]`,
        `tokenFile: ${next}`,
        [],
      ]);
      await configure(both);
      expect([token, next].map((file) => curled(daemon, file))).toEqual(['200', '200']);
      await prometheus.scrapes();
      await prometheus.reads(next);
      await configure(one);
      await prometheus.scrapes();
      expect([token, next].map((file) => curled(daemon, file))).toEqual(['401', '200']);
      expect(await prometheus.lowest()).toBe('1');
    },
  );

  itWithTool(
    'prometheus',
    'a second line in the file that Prometheus reads takes the target down, as the page warns',
    async () => {
      const { daemon, token } = await scraped();
      const prometheus = await new Scraper(daemon).start(token);
      const [first = ''] = readFileSync(token, 'utf8').split('\n');
      writeFileSync(token, `${first}\nanother-secret-of-prometheus\n`);
      await until(async () => (await prometheus.target())?.health === 'down', 'it is down');
      expect((await prometheus.target())?.lastError).toContain('invalid header field value');
      writeFileSync(token, `${first}\n`);
      await prometheus.scrapes();
    },
  );
});
