import { afterEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { parseWebhookHosts } from '../../../src/config/webhook-hosts.js';
import {
  bodyOf,
  readWebhookSecrets,
  signedHeaders,
} from '../../../src/extensions/programs/webhook-message.js';
import { detailOf, endOf } from '../../../src/extensions/programs/webhook-outcome.js';
import { postWebhook } from '../../../src/extensions/programs/webhook-post.js';
import { WebhookTargets } from '../../../src/extensions/programs/webhook-target.js';
import { REARMED } from '../../../src/titanic/machine/webhooks.js';
import type { ShownHistory } from '../../../src/titanic/operator/operator-api.js';
import { blocksOf } from '../../support/blocks.js';
import { makeCertificate } from '../../support/certificate.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';
import { itWithTool, PYTHON } from '../../support/tools.js';
import { newSecret } from '../../support/webhook-receiver.js';

type Attempts = ShownHistory['attempts'];

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
    'sign so that the programs of docs/http.md accept it, with each of two, and no other',
    async () => {
      const secrets = [newSecret(), newSecret()];
      const directory = temporaryDirectory();
      const [js] = blocksOf('docs/http.md', 'js');
      const [python] = blocksOf('docs/http.md', 'python');
      const program = join(directory, js?.name ?? '');
      writeFileSync(program, js?.text ?? '');
      writeFileSync(join(directory, python?.name ?? ''), python?.text ?? '');
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
      const { isFromBroker } = (await import(pathToFileURL(program).href)) as {
        isFromBroker: (...given: unknown[]) => boolean;
      };
      for (const [given, text, secret, is] of cases) {
        expect(isFromBroker(given, text, secret)).toBe(is);
        const script =
          'import json, sys, verify_webhook as v; h, b, s = json.load(sys.stdin); ' +
          'print(v.is_from_broker(h, b.encode(), s))';
        const input = JSON.stringify([given, text, secret]);
        const said = execFileSync(PYTHON, ['-c', script], { cwd: directory, input });
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
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const { signal } = new AbortController();
    const sent = await postWebhook(url, {}, '{}', targets('127.0.0.1'), signal);
    server.close();
    expect(certFile).toContain('hooks');
    expect(sent).toMatchObject({ kind: 'failed' });
    expect(requests).toBe(0);
  });
});

describe('how a request ended that is gone', () => {
  const known = { uuid: Buffer.alloc(16), service: Buffer.from('s'), acceptedAt: 0 };
  const stored = (reason: string, endedAt: number): Attempts[number] => ({
    ...{ worker: '', startedAt: endedAt, endedAt, reason, failure: null },
  });
  const tried = (detail: readonly Buffer[], endedAt: number): Attempts[number] => ({
    ...stored('webhook.500: no', endedAt),
    worker: '0 hooks.example webhooks',
    failure: { kind: 'error', code: 'webhook.500', text: 'no', detail },
  });
  const told = (...attempts: Attempts): unknown => {
    const ended = endOf(known, null, attempts, 99);
    return [ended?.outcome, ended?.endedAt];
  };

  it('is in the entry that its end left, or in any attempt to tell it', () => {
    const ended = endOf(known, null, [stored('cancelled', 7)], 99);
    expect([ended?.outcome, ended?.endedAt]).toEqual(['cancelled', 7]);
    const again = stored('retried by alice; it was dead: webhook.500: no', 50);
    expect(told(tried(detailOf(ended), 8), again, tried([], 60))).toEqual(['cancelled', 7]);
  });

  it('is not that of an earlier end, before an operator had it tried again', () => {
    const first = [stored('dead', 7), tried([Buffer.from('dead'), Buffer.from('7')], 8)];
    expect(told(...first, stored(REARMED, 9))).toEqual(['ended', 99]);
    expect(told(...first, stored(REARMED, 9), stored('expired', 12))).toEqual(['expired', 12]);
  });

  it('is not known if nothing says it, or what is stored is not true', () => {
    expect(told()).toEqual(['ended', 99]);
    expect(told(tried([Buffer.from('won'), Buffer.from('7')], 8))).toEqual(['ended', 99]);
    expect(told(tried([Buffer.from('dead')], 8))).toEqual(['ended', 99]);
    expect(detailOf(endOf(known, null, [], 99))).toEqual([]);
  });
});
