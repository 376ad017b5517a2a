/** Does what docs/operating.md and docs/pair.md say with those whom it is about: Prometheus, curl, openssl, systemd. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { MAIN, run as majordomo } from '../../support/child.js';
import { atEnd, endAll } from '../../support/daemon-users.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf } from '../../support/http.js';
import { run } from '../../support/tarballs.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

afterEach(endAll);

const PAGES = ['docs/operating.md', 'docs/pair.md']
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n');

/** The section with that heading. */
function section(heading: string): string {
  const [, rest = ''] = PAGES.split(`\n${heading}\n`);
  return rest.split(/^#{2,3} /m)[0] ?? '';
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

describe('docs/pair.md: Install a pair on two machines', () => {
  const HEADING = '## Install a pair on two machines';
  const NODES = ['left', 'right'] as const;
  type Node = (typeof NODES)[number];

  /** The file of the page for a node: what its comments say of the backup. */
  function fileOf(node: Node, serverKeys: Readonly<Record<Node, string>>): string {
    const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(section(HEADING)) ?? [];
    const lines = yaml.split('\n').map((line) => {
      const [, set = '', other = ''] = /^(.*?) # +backup: (\S+)/.exec(line) ?? [];
      if (line.trim().startsWith('serverKey')) return `    serverKey: '${serverKeys[node]}'`;
      if (set === '' || node === 'left') return line;
      return set.replace(/10\.0\.0\.\d|left|primary(\.key)?/, other);
    });
    return lines.join('\n');
  }

  itWithTool(
    'curl and openssl',
    'two nodes with its files get in sync, and differ in nothing else, as its diff shows; curl sees who serves',
    async () => {
      const root = temporaryDirectory();
      const ports = await freePorts(3);
      const made = await majordomo(['keygen', '--pair', join(root, 'pair'), '-o', 'json']);
      const { nodes } = JSON.parse(made.stdout) as {
        nodes: readonly { role: string; curve: { serverKey: string } }[];
      };
      const [left = '', right = ''] = nodes.map(({ curve }) => curve.serverKey);
      const folders = Object.fromEntries(NODES.map((node) => [node, join(root, node)]));
      const here = (node: Node, text: string): string =>
        [5555, 5590, 5580]
          .reduce((all, port, at) => all.replaceAll(`:${port}`, `:${ports[at]}`), text)
          .replaceAll('10.0.0.', '127.0.0.')
          .replaceAll('/etc/majordomo', folders[node] ?? '')
          .replaceAll('/var/lib/majordomo', join(folders[node] ?? '', 'data'));
      for (const [at, node] of NODES.entries()) {
        const folder = folders[node] ?? '';
        mkdirSync(folder);
        writeFileSync(join(folder, 'majordomo.yaml'), here(node, fileOf(node, { left, right })));
        // Each has keys.yaml and its own secret key.
        cpSync(join(root, 'pair'), join(folder, 'pair'), { recursive: true });
        rmSync(join(folder, 'pair', `${at === 0 ? 'backup' : 'primary'}.key`));
        const subject = ['-subj', `/CN=${node}`, '-addext', `subjectAltName=IP:127.0.0.${at + 1}`];
        const files = ['-keyout', join(folder, 'server.key'), '-out', join(folder, 'server.crt')];
        const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
        run('openssl', ['req', ...kind, '-days', '2', ...subject, ...files], folder);
        run('chmod', ['600', 'server.key'], folder);
      }
      const keys = join(folders['left'] ?? '', 'keys');
      mkdirSync(keys);
      await majordomo(['keygen', join(keys, 'broker.key')]);
      writeFileSync(join(keys, 'clients.yaml'), '[]\n', { mode: 0o600 });
      cpSync(keys, join(folders['right'] ?? '', 'keys'), { recursive: true });
      const configs = NODES.map((node) => join(folders[node] ?? '', 'majordomo.yaml'));
      const daemons = await Promise.all(
        configs.map((file, at) =>
          startDaemon({
            file,
            endpoint: null,
            dataDir: join(root, NODES[at] ?? '', 'data'),
            sets: [`http.listen=127.0.0.${at + 1}:${ports[2]}`],
          }),
        ),
      );
      const [first = ''] = configs;
      let said = '';
      await until(
        async () => {
          const { stdout, stderr } = await majordomo(['ha', 'status', '-c', first]);
          said = stdout + stderr;
          return said.includes(': in sync');
        },
        () => `ha status says in sync, but: ${said}`,
      );
      expect(said).not.toContain('WARNING');
      // As on two machines, where both files have one path.
      const [, diff = ''] = /`(diff <\(ssh [^`]*)`/.exec(section(HEADING)) ?? [];
      const typed = NODES.reduce(
        (line, node) =>
          line.replace(
            `ssh ${node} majordomo check -c FILE`,
            `cd ${folders[node]} && ${process.execPath} ${MAIN} check -c majordomo.yaml | sed s:${root}/${node}:/etc/majordomo:g`,
          ),
        diff,
      );
      const { stdout } = spawnSync('bash', ['-c', typed], { encoding: 'utf8' });
      const differing = stdout.match(/(?<=^> )\S+(?= )/gm);
      expect(differing).toEqual([
        ...[
          'node.name',
          // Only its place in the file is another one: the name before it is longer.
          'node.dataDir',
          'broker.listen',
          'bstar.role',
          'bstar.listen',
          'bstar.peer',
          'bstar.curve',
        ],
        'http.listen',
        // With the endpoint that uses it.
        '/etc/majordomo/keys/clients.yaml',
      ]);
      const [serving, passive] = NODES.map((node, at) => {
        const trust = ['--cacert', join(folders[node] ?? '', 'server.crt')];
        const url = `https://127.0.0.${at + 1}:${ports[2]}/readyz`;
        return spawnSync('curl', ['-s', ...trust, url], { encoding: 'utf8' }).stdout;
      });
      expect(JSON.parse(serving ?? '')).toEqual({ ready: true, reason: null, degraded: [] });
      expect(JSON.parse(passive ?? '')).toMatchObject({
        ready: false,
        reason: { code: 'passive' },
      });
      for (const daemon of daemons.toReversed()) await daemon.stop();
    },
  );
});

describe('docs/operating.md: Watch', () => {
  itWithTool('curl and openssl', 'its lines of curl print what it says', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const lines = shellOf('## Watch', '')
      .split('\n')
      .filter((line) => line.startsWith('curl '));
    const [ready, metrics, ...others] = lines.map((line) => {
      const here = line.replace('http://127.0.0.1:5580', httpOf(daemon));
      return spawnSync('sh', ['-c', here], { encoding: 'utf8' }).stdout;
    });
    expect(others).toEqual([]);
    expect(section('## Watch')).toContain(`The first one prints \`${ready?.trim() ?? ''}\``);
    expect(metrics).toContain('\nmajordomo_ready 1\n');
  });
});

describe('docs/operating.md: If the clock is wrong', () => {
  itWithTool(
    'systemd-analyze',
    'systemd takes its drop-in, and has the units that it names',
    () => {
      const text = section('### If the clock is wrong');
      const lines = Array.from(
        text.matchAll(/`((?:After|Wants)=[^`]+)`/g),
        ([, line = '']) => line,
      );
      expect(lines.map((line) => line.split('=')[0])).toEqual(['After', 'Wants']);
      const folder = temporaryDirectory();
      const unit = join(folder, 'majordomo.service');
      const shipped = readFileSync('deploy/systemd/majordomo.service', 'utf8');
      writeFileSync(unit, shipped.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'));
      mkdirSync(`${unit}.d`);
      writeFileSync(join(`${unit}.d`, 'time.conf'), `[Unit]\n${lines.join('\n')}\n`);
      const verified = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
      expect(verified).toMatchObject({ status: 0, stderr: '' });
      const [, service = ''] = /`systemctl enable ([\w-]+)`/.exec(text) ?? [];
      const paths = spawnSync('systemd-analyze', ['unit-paths'], { encoding: 'utf8' }).stdout;
      const named = [...lines.map((line) => line.split('=')[1] ?? ''), `${service}.service`];
      const missing = named.filter(
        (name) => !paths.split('\n').some((path) => existsSync(join(path, name))),
      );
      expect(missing).toEqual([]);
    },
  );
});
