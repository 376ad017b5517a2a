/** TLS and users of a NATS server, and what `doctor` says about servers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeCertificate } from '../../support/certificate.js';
import { run } from '../../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { endNats, NatsServer } from '../../support/nats-server.js';
import { natsUser, nkeyUser } from '../../support/nats-users.js';
import { itWithTool } from '../../support/tools.js';
import { LONG_TEST_MS } from '../../support/patience.js';

const TOOL = 'nats-server and openssl';

afterEach(async () => {
  await removeDaemons();
  await endNats();
});

interface Written {
  readonly directory: string;
  file(name: string, text: string): string;
  /** A certificate of a host that is its own authority, and the part of a server's configuration. */
  certificate(
    host: string,
    addresses: readonly string[],
  ): { readonly pem: string; readonly tls: string };
}

function written(): Written {
  const directory = temporaryDirectory();
  return {
    directory,
    file: (name, text) => {
      const path = join(directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
    certificate: (host, addresses) => {
      const { certFile, keyFile } = makeCertificate(directory, host, addresses);
      return { pem: certFile, tls: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }\n` };
    },
  };
}

interface Place {
  readonly sets: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** @param authority the file of a private certificate authority */
function place(url: string, creds: string | null, authority: string | null): Place {
  const sets = [`fleet.nats=${url}`, ...(creds === null ? [] : [`fleet.natsCredsFile=${creds}`])];
  return { sets, environment: authority === null ? {} : { NODE_EXTRA_CA_CERTS: authority } };
}

async function joins({ sets, environment }: Place): Promise<void> {
  const daemon = await startDaemon({ sets, environment });
  await daemon.waitFor('fleet.connected');
}

/** What it says when it ends with 78. */
async function refused({ sets, environment }: Place): Promise<string> {
  const { status, stderr, stdout } = await new Daemon({ sets, environment }).finished();
  expect(status).toBe(78);
  return stderr + stdout;
}

interface Check {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly remedy: string | null;
}

async function doctor({ sets, environment }: Place, name: string): Promise<Check | undefined> {
  const free = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=127.0.0.1:0'];
  const all = [`node.dataDir=${temporaryDirectory()}`, ...free, ...sets];
  const args = ['doctor', '-o', 'json', ...all.flatMap((set) => ['--set', set])];
  const { stdout } = await run(args, { environment });
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return checks.find((each) => each.name.startsWith(name));
}

describe('a NATS server with TLS and users', () => {
  itWithTool(
    TOOL,
    'lets in who has .creds and trusts its certificate; the others end with 78, which says why',
    async () => {
      const files = written();
      const { pem, tls } = files.certificate('nats.test', ['127.0.0.1']);
      const [user, other] = [natsUser(), natsUser()];
      const nats = await NatsServer.start('-c', files.file('nats.conf', tls + user.config));
      const url = `tls://127.0.0.1:${nats.port}`;
      const creds = files.file('user.creds', user.creds);
      const good = place(url, creds, pem);
      await joins(good);
      expect(await doctor(good, 'NATS')).toMatchObject({
        state: 'ok',
        text: 'answers, with TLS, and lets in who has credentials',
      });

      const wrong = place(url, files.file('other.creds', other.creds), pem);
      const said = await refused(wrong);
      expect(said).toContain('Authorization Violation');
      expect(said).toContain('check fleet.natsCredsFile');
      expect(await refused(place(url, null, pem))).toContain('check fleet.natsCredsFile');
      expect(await doctor(wrong, 'NATS')).toMatchObject({
        state: 'problem',
        text: expect.stringContaining('Authorization Violation'),
      });

      const untrusted = await refused(place(url, creds, null));
      expect(untrusted).toContain('self-signed certificate');
      expect(untrusted).toContain('NODE_EXTRA_CA_CERTS');
      const later = await refused(place(url.replace('tls:', 'nats:'), creds, null));
      expect(later).toContain('NODE_EXTRA_CA_CERTS');
      // The name of the host of the URL counts, not any that the certificate has.
      const named = files.certificate('localhost', []);
      const loose = await NatsServer.start('-c', files.file('loose.conf', named.tls));
      const byAddress = place(`tls://127.0.0.1:${loose.port}`, null, named.pem);
      expect(await refused(byAddress)).toContain('has to name the host');
      await joins(place(`tls://localhost:${loose.port}`, null, named.pem));
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'is refused if its certificate names another host, or if it has no TLS',
    async () => {
      const files = written();
      const { pem, tls } = files.certificate('elsewhere.test', ['192.0.2.1']);
      const other = await NatsServer.start('-c', files.file('other.conf', tls));
      const said = await refused(place(`tls://127.0.0.1:${other.port}`, null, pem));
      expect(said).toContain("does not match certificate's altnames");
      expect(said).toContain('has to name the host');

      const plain = await NatsServer.start();
      expect(await refused(place(`tls://127.0.0.1:${plain.port}`, null, pem))).toContain(
        'it has no TLS',
      );
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'that refuses a broker later is named in the log; new credentials in the file are used',
    async () => {
      const files = written();
      const [first, second] = [nkeyUser(), nkeyUser()];
      const users = (publicKey: string): string =>
        `authorization { users: [{ nkey: ${publicKey} }] }\n`;
      const config = files.file('nats.conf', users(first.publicKey));
      const nats = await NatsServer.start('-c', config);
      const creds = files.file('broker.nk', `${first.seed}\n`);
      const daemon = await startDaemon(place(nats.url, creds, null));
      await daemon.waitFor('fleet.connected');
      await nats.kill();
      files.file('nats.conf', users(second.publicKey));
      await nats.starts();
      expect(await daemon.waitFor('fleet.refused')).toMatchObject({
        // Which server says so.
        reason: expect.stringMatching(/^[a-z0-9.]+:[0-9]+: .*Authorization Violation/),
      });
      files.file('broker.nk', `${second.seed}\n`);
      await daemon.waitFor('fleet.connected', 2);
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'that forbids subjects is named in the log',
    async () => {
      const files = written();
      const { publicKey, seed } = nkeyUser();
      const rights = 'permissions: { publish: "other.>", subscribe: ">" }';
      const config = `authorization { users: [{ nkey: ${publicKey}, ${rights} }] }\n`;
      const nats = await NatsServer.start('-c', files.file('nats.conf', config));
      const daemon = await startDaemon(place(nats.url, files.file('broker.nk', seed), null));
      expect(await daemon.waitFor('fleet.refused')).toMatchObject({
        reason: expect.stringMatching(/^[a-z0-9.]+:[0-9]+: .*Permissions Violation for Publish/i),
      });
    },
    LONG_TEST_MS,
  );
});

describe('majordomo doctor', () => {
  itWithTool(
    TOOL,
    'names a NATS server that does not answer, and what others could do with one',
    async () => {
      const nats = await NatsServer.start();
      const there = await doctor(place(nats.url, null, null), 'NATS');
      expect(there).toMatchObject({ name: `NATS ${nats.url}`, state: 'ok' });
      expect(there?.text).toContain('every user of this machine');
      const both = place(`[${nats.url}, nats://127.0.0.1:1]`, null, null);
      expect(await doctor(both, 'NATS nats://127.0.0.1:1')).toMatchObject({ state: 'warning' });
      expect(await doctor(place('nats://127.0.0.1:1', null, null), 'NATS')).toMatchObject({
        state: 'problem',
        text: 'does not answer: connection refused',
        remedy: expect.stringContaining('start nats-server at 127.0.0.1:1'),
      });
      const open = { ...both, sets: [...both.sets, 'fleet.insecure=true'] };
      expect(await doctor(open, 'open to strangers over NATS')).toMatchObject({ state: 'warning' });
    },
    LONG_TEST_MS,
  );
});
