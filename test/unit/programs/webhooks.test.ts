import { execFileSync } from 'node:child_process';
import type { LookupAddress } from 'node:dns';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as createSocketServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { parseWebhookHosts } from '../../../src/config/webhook-hosts.js';
import {
  bodyOf,
  readWebhookSecrets,
  signedHeaders,
} from '../../../src/extensions/programs/webhook-message.js';
import { endOf } from '../../../src/extensions/programs/webhook-outcome.js';
import { postWebhook } from '../../../src/extensions/programs/webhook-post.js';
import { WebhookTargets } from '../../../src/extensions/programs/webhook-target.js';
import { numberOfOutcome } from '../../../src/store/outcomes.js';
import { makeCertificate } from '../../support/certificate.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { listening } from '../../support/free-ports.js';
import { itWithTool, PYTHON } from '../../support/tools.js';
import { until } from '../../support/until.js';
import { newSecret } from '../../support/webhook-receiver.js';

afterEach(removeDaemons);

function targets(text: string): WebhookTargets {
  const hosts = parseWebhookHosts(text);
  if (typeof hosts === 'string') throw new Error(hosts);
  return new WebhookTargets(hosts);
}

describe('http.webhookHosts', () => {
  it('has hosts with and without a port, domains, hosts without TLS, and networks', () => {
    const { fault } = targets('a.test, .b.test:8443 http://c.test:80 [::1]:9 10.0.0.0/8');
    const allowed = [
      ...['https://a.test/x?y=1', 'https://A.TEST:443/', 'https://x.b.test:8443/'],
      ...['https://x.y.b.test:8443/', 'http://c.test/', 'https://[::1]:9/'],
    ];
    for (const url of allowed) expect([url, fault(url)]).toEqual([url, null]);
    const refused = [
      ...['https://a.test:444/', 'http://a.test/', 'https://b.test:8443/', 'https://xb.test:8443/'],
      ...['https://a.test.evil.test/', 'https://a.test@evil.test/', 'https://10.0.0.1/'],
      ...['ftp://a.test/', 'file:///etc/passwd', 'a.test', ''],
    ];
    for (const url of refused) expect([url, fault(url)]).not.toEqual([url, null]);
  });

  it('does not take the end of an address for a domain', () => {
    expect(targets('.0.0.1:443').fault('https://127.0.0.1/')).not.toBeNull();
  });

  it.each([
    '*.a.test',
    'a.test/path',
    'https://',
    'a.test:0',
    'a.test:65536',
    '10.0.0.0/33',
    'a_b',
  ])('does not have %s', (text) => {
    expect(parseWebhookHosts(text)).toContain(`"${text}" is not HOST`);
  });

  it('lets a name lead only to public addresses, and into the networks that it has', async () => {
    const look = (text: string): Promise<string> =>
      new Promise((resolve) => {
        targets(text).lookup('localhost', { all: true }, (error, found) => {
          resolve(error?.message ?? JSON.stringify(found));
        });
      });
    expect(await look('localhost')).toMatch(/^localhost is .*: not a public address/);
    expect(await look('localhost 10.0.0.0/8')).toContain('not a public address');
    expect(await look('localhost 127.0.0.0/8 ::1/128')).toContain('"address"');
  });
});

describe('the secrets of webhooks', () => {
  function file(text: string, mode = 0o600): string {
    const path = join(temporaryDirectory(), 'secret');
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  it('are one or two, of 24 to 64 bytes, in a file that is private', () => {
    const [first, second] = [newSecret(), newSecret()];
    expect(readWebhookSecrets(file(`${first}\n`))).toHaveLength(1);
    expect(readWebhookSecrets(file(`${first}\r\n${second}\n`))).toHaveLength(2);
    for (const text of ['', 'secret', 'whsec_aaaa', `${first}\n${second}\n${first}`]) {
      expect(() => readWebhookSecrets(file(text))).toThrow(/webhook|whsec_|secrets/);
    }
    expect(() => readWebhookSecrets(file(first, 0o644))).toThrow(/other users can read/);
  });

  itWithTool(
    'python3-zmq',
    'sign so that the examples accept it, with each of two, and no other',
    async () => {
      const secrets = [newSecret(), newSecret()];
      const body = bodyOf({
        ...{ uuid: Buffer.alloc(16), service: Buffer.from('é'), outcome: 'dead', code: 'bad' },
        ...{ reason: 'Ü', acceptedAt: 0, endedAt: 1 },
      });
      const paths = secrets.map((secret) => readWebhookSecrets(file(secret))[0] ?? Buffer.alloc(0));
      const headers = signedHeaders('id-0', body, paths, Date.now());
      const late = signedHeaders('id-0', body, paths, Date.now() - 400_000);
      const cases: readonly [Readonly<Record<string, string>>, string, string, boolean][] = [
        [headers, body, secrets[0] ?? '', true],
        [headers, body, secrets[1] ?? '', true],
        [headers, body, newSecret(), false],
        [headers, `${body} `, secrets[0] ?? '', false],
        [late, body, secrets[0] ?? '', false],
      ];
      const program = pathToFileURL(resolve('build/examples/verify-webhook.js'));
      const { isFromBroker } = (await import(program.href)) as {
        isFromBroker: (...given: unknown[]) => boolean;
      };
      for (const [given, text, secret, is] of cases) {
        expect(isFromBroker(given, text, secret)).toBe(is);
        const script =
          'import json, sys, verify_webhook as v; h, b, s = json.load(sys.stdin); ' +
          'print(v.is_from_broker(h, b.encode(), s))';
        const input = JSON.stringify([given, text, secret]);
        const said = execFileSync(PYTHON, ['-c', script], { cwd: 'examples', input });
        expect(said.toString().trim()).toBe(is ? 'True' : 'False');
      }
    },
  );
});

describe('a receiver with TLS', () => {
  it('whose certificate is not trusted gets nothing', async () => {
    const { keyFile, certFile, pem } = makeCertificate(temporaryDirectory(), 'hooks');
    const { readFileSync } = await import('node:fs');
    let requests = 0;
    const server = createServer({ key: readFileSync(keyFile), cert: pem }, (_, response) => {
      requests++;
      response.end();
    });
    const url = `https://127.0.0.1:${await listening(server)}/`;
    const { signal } = new AbortController();
    const sent = await postWebhook(url, {}, '{}', targets('127.0.0.1'), signal);
    server.close();
    expect(certFile).toContain('hooks');
    expect(sent).toMatchObject({ kind: 'failed' });
    expect(requests).toBe(0);
  });
});

describe('a receiver that is a stranger', () => {
  /** What becomes of a webhook if this is what its receiver does, and whether its connection was closed. */
  async function sent(
    protocol: string,
    act: (socket: Socket, first: Buffer) => void,
  ): Promise<unknown> {
    const open = new Set<Socket>();
    const server = createSocketServer((socket) => {
      open.add(socket);
      socket.setNoDelay().on('error', () => undefined);
      socket.once('close', () => open.delete(socket));
      socket.once('data', (first: Buffer) => act(socket, first));
    });
    const host = `127.0.0.1:${await listening(server)}`;
    const { signal } = new AbortController();
    const became = await postWebhook(`${protocol}//${host}/`, {}, '{}', targets(host), signal);
    await until(() => open.size === 0, 'the connection is closed');
    server.close();
    return became;
  }

  /** Writes this again and again. */
  function endless(socket: Socket, bytes: string | Buffer): void {
    if (socket.destroyed) return;
    if (socket.write(bytes)) setImmediate(endless, socket, bytes);
    else socket.once('drain', () => endless(socket, bytes));
  }

  it.each<[string, string, string | Buffer, string]>([
    ['interim answers', '', 'HTTP/1.1 102 \r\n\r\n'.repeat(4000), 'more than 8 interim answers'],
    ['fields', 'HTTP/1.1 200 OK\r\n', 'x:\r\n'.repeat(9000), 'no status in the first 16384 bytes'],
    ['bytes', 'HTTP/1.1 200 OK\r\nx: ', 'x', 'no status in the first 128 pieces'],
  ])('and sends %s without end: is cut off', async (_what, first, then, why) => {
    const became = await sent('http:', (socket) => {
      socket.write(first);
      endless(socket, then);
    });
    expect(became).toEqual({ kind: 'failed', why });
  });

  it('and sends a body without end: has answered with its head', async () => {
    const became = await sent('http:', (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      endless(socket, '1\r\nx\r\n');
    });
    expect(became).toEqual({ kind: 'status', status: 200 });
  });

  it('and closes the connection before its answer: has not answered', async () => {
    const became = await sent('http:', (socket) => socket.end('HTTP/1.1 200 OK\r\n'));
    expect(became).toEqual({ kind: 'failed', why: 'the connection was closed without an answer' });
  });

  // A client of TLS passes over each HelloRequest that comes before the handshake is done.
  const HELLO_REQUESTS = Buffer.concat([Buffer.from([22, 3, 3, 64, 0]), Buffer.alloc(16_384)]);

  it.each<[string, Buffer, string]>([
    ['its handshake', HELLO_REQUESTS, 'no status in the first 49152 bytes'],
    ['it in single bytes', Buffer.alloc(1, 22), 'no status in the first 512 pieces'],
  ])('and does not end %s: is cut off', async (_what, bytes, why) => {
    let at = 0;
    const became = await sent('https:', (socket) => {
      if (bytes.length > 1) {
        endless(socket, bytes);
        return;
      }
      const next = (): void => {
        if (socket.destroyed) return;
        socket.write(HELLO_REQUESTS.subarray(at, at + 1));
        at = (at + 1) % HELLO_REQUESTS.length;
        setImmediate(next);
      };
      next();
    });
    expect(became).toEqual({ kind: 'failed', why });
  });

  it('and asks for a costly key exchange: is not offered one', async () => {
    let hello: Buffer = Buffer.alloc(0);
    await sent('https:', (socket, first) => {
      hello = first;
      socket.end();
    });
    // After the heads of record and message, the version, a random number and the id of a session.
    const at = 43 + 1 + hello.readUInt8(43);
    const suites = hello.subarray(at + 2, at + 2 + hello.readUInt16BE(at)).toString('hex');
    const offered = suites.match(/.{4}/g);
    expect(offered).toEqual(expect.arrayContaining(['1301', 'c02f']));
    // DHE-RSA with AES-GCM, AES-CBC and ChaCha20.
    const costly = ['009e', '009f', '0033', '0039', '0067', '006b', 'ccaa'];
    expect(costly.filter((each) => offered?.includes(each))).toEqual([]);
  });

  it('and is not there, at any of its addresses: fails with the reason', async () => {
    const both: WebhookTargets['lookup'] = (_name, _options, done) => {
      const found = [127, 126].map((last) => ({ address: `127.0.0.${last}`, family: 4 }));
      setImmediate(done, null, found);
    };
    const { signal } = new AbortController();
    const became = await postWebhook('http://a.test:9/', {}, '{}', { lookup: both }, signal);
    expect(became).toEqual({ kind: 'failed', why: 'ECONNREFUSED' });
  });
});

describe('look-ups of receivers', () => {
  /** Names are found when they are told to be. */
  class Names {
    readonly asked: string[] = [];
    readonly targets: WebhookTargets;
    readonly #waiting = new Map<string, (addresses: LookupAddress[]) => void>();

    constructor(hosts: string) {
      const parsed = parseWebhookHosts(hosts);
      if (typeof parsed === 'string') throw new Error(parsed);
      this.targets = new WebhookTargets(parsed, (name, _options, done) => {
        this.asked.push(name);
        this.#waiting.set(name, (addresses) => done(null, addresses));
      });
    }

    look(name: string): Promise<unknown> {
      return new Promise((resolve) => {
        this.targets.lookup(name, { all: true }, (error, found) => {
          resolve(error?.message ?? found);
        });
      });
    }

    finds(name: string, ...addresses: readonly string[]): void {
      this.#waiting.get(name)?.(addresses.map((address) => ({ address, family: 4 })));
    }
  }

  it('are two at a time, and one for each entry', () => {
    const names = new Names('.a.test .b.test .c.test');
    for (const name of ['1.a.test', '2.a.test', '1.b.test', '1.c.test']) void names.look(name);
    expect(names.asked).toEqual(['1.a.test', '1.b.test']);
    names.finds('1.b.test', '8.8.8.8');
    expect(names.asked).toEqual(['1.a.test', '1.b.test', '1.c.test']);
    names.finds('1.a.test', '8.8.8.8');
    expect(names.asked).toEqual(['1.a.test', '1.b.test', '1.c.test', '2.a.test']);
  });

  it('of entries whose name servers were slow leave one to the others', () => {
    const now = jest.spyOn(performance, 'now').mockReturnValue(0);
    const names = new Names('a.test b.test c.test');
    for (const name of ['a.test', 'b.test']) void names.look(name);
    now.mockReturnValue(3000);
    for (const name of ['a.test', 'b.test']) names.finds(name, '8.8.8.8');
    names.asked.splice(0);
    for (const name of ['a.test', 'b.test', 'c.test']) void names.look(name);
    expect(names.asked).toEqual(['a.test', 'c.test']);
    names.finds('c.test', '8.8.8.8');
    expect(names.asked).toEqual(['a.test', 'c.test']);
    names.finds('a.test', '8.8.8.8');
    expect(names.asked).toEqual(['a.test', 'c.test', 'b.test']);
    void names.look('a.test');
    expect(names.asked).toEqual(['a.test', 'c.test', 'b.test', 'a.test']);
    now.mockRestore();
  });

  it('that fail for a long reason fail for the beginning of it', async () => {
    const lookup: WebhookTargets['lookup'] = (_name, _options, done) => {
      setImmediate(done, new Error('x'.repeat(100_000)), '');
    };
    const { signal } = new AbortController();
    const became = await postWebhook('http://a.test/', {}, '{}', { lookup }, signal);
    expect(became).toEqual({ kind: 'failed', why: 'x'.repeat(200) });
  });

  it('of a name with many addresses find eight, if all are public', async () => {
    const names = new Names('a.test');
    const many = Array.from({ length: 4000 }, (_, n) => `8.8.${n >> 8}.${n & 255}`);
    const found = names.look('a.test');
    names.finds('a.test', ...many);
    expect(await found).toHaveLength(8);
    const wrong = names.look('a.test');
    names.finds('a.test', ...many, '10.0.0.1');
    expect(await wrong).toContain('a.test is 10.0.0.1: not a public address');
  });
});

describe('how a request ended that is gone', () => {
  const known = { uuid: Buffer.alloc(16), service: Buffer.from('s'), acceptedAt: 0 };
  const told = (outcome: number): unknown => {
    const ended = endOf(known, null, { outcome, outcomeAt: 7 }, 99);
    return [ended?.outcome, ended?.endedAt];
  };

  it('is in its webhook, where its end left it', () => {
    expect(told(numberOfOutcome('cancelled'))).toEqual(['cancelled', 7]);
    expect(told(numberOfOutcome('expired'))).toEqual(['expired', 7]);
  });

  it('is not known if nothing says it, or only a later version knows what is said', () => {
    expect(told(0)).toEqual(['ended', 99]);
    expect(told(numberOfOutcome('stored'))).toEqual(['ended', 99]);
    expect(told(77)).toEqual(['ended', 99]);
  });
});
