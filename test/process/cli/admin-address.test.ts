import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeCertificate } from '../../support/certificate.js';
import { run } from '../../support/child.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf, tokenOf } from '../../support/http.js';
import { itWithTool } from '../../support/tools.js';

afterEach(removeDaemons);

describe('the address that operator commands use', () => {
  it('a socket: by --admin, by MAJORDOMO_URL, by the configuration', async () => {
    const path = join(temporaryDirectory(), 'http.sock');
    const listen = `http.listen=unix:${path}`;
    const daemon = await startDaemon({ sets: [listen, 'node.name=left'] });
    const token = ['--token', tokenOf(daemon)];
    for (const args of [
      ['--admin', `unix:${path}`],
      ['--set', listen],
    ]) {
      const asked = await run(['status', '-o', 'json', ...args, ...token]);
      expect([args, asked.stderr, asked.status]).toEqual([args, '', 0]);
      expect(JSON.parse(asked.stdout)).toMatchObject({ node: 'left' });
    }
    const environment = { MAJORDOMO_URL: `unix://${path}` };
    expect(await run(['ha', 'status', ...token], { environment })).toMatchObject({ status: 0 });
    await daemon.stop();
    const nobody = await run(['status', '--admin', `unix:${path}`, ...token]);
    expect(nobody.status).toBe(69);
    expect(nobody.stderr).toContain(`unix:${path} cannot be reached: the socket does not exist`);
  });

  itWithTool('openssl', 'https: the certificate of the configuration, or --admin-ca', async () => {
    const directory = temporaryDirectory();
    // Its name differs from the one by which the node is reached.
    const { certFile, keyFile } = makeCertificate(directory, 'mq.example', []);
    const stranger = makeCertificate(directory, 'stranger.example');
    const [port = 0] = await freePorts(1);
    const sets = [
      `http.listen=0.0.0.0:${port}`,
      `http.tls={certFile: ${certFile}, keyFile: ${keyFile}}`,
    ];
    const daemon = await startDaemon({ sets });
    const own = [...sets, `node.dataDir=${daemon.dataDir}`].flatMap((set) => ['--set', set]);
    expect(await run(['ha', 'status', ...own])).toMatchObject({ status: 0, stderr: '' });
    const given = [
      'ha',
      'status',
      '--admin',
      `https://localhost:${port}`,
      '--token',
      'sixteen-letters-1',
    ];
    const unknown = await run(given);
    expect(unknown.status).toBe(69);
    expect(unknown.stderr).toContain('--admin-ca FILE');
    const another = await run([...given, '--admin-ca', certFile]);
    // It is its own authority, but for another name.
    expect(another.status).toBe(69);
    expect(another.stderr).toContain('mq.example');
    expect((await run([...given, '--admin-ca', stranger.certFile])).status).toBe(69);
    expect(httpOf(daemon)).toBe(`https://0.0.0.0:${port}`);
  });

  itWithTool('openssl', '--admin-ca takes a certificate that is for that name', async () => {
    const { certFile, keyFile } = makeCertificate(temporaryDirectory(), 'localhost');
    const tls = `http.tls={certFile: ${certFile}, keyFile: ${keyFile}}`;
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0', tls] });
    const at = ['--admin', httpOf(daemon), '--admin-ca', certFile];
    const extra = { NODE_EXTRA_CA_CERTS: certFile };
    expect(await run(['status', ...at])).toMatchObject({ status: 0 });
    const byNode = await run(['status', ...at.slice(0, 2)], { environment: extra });
    expect(byNode).toMatchObject({ status: 0 });
    expect((await run(['status', ...at.slice(0, 2)])).status).toBe(69);
  });
});

describe('the token', () => {
  it('that cannot be found or read is named when a command is refused for lack of it', async () => {
    const daemon = await startDaemon({
      sets: ['http.listen=127.0.0.1:0', 'http.requireToken=true'],
    });
    const empty = temporaryDirectory();
    const at = ['status', '--admin', httpOf(daemon), '--set', `node.dataDir=${empty}`];
    const absent = await run(at);
    expect(absent.status).toBe(1);
    expect(absent.stderr).toContain(`${empty}/http.token does not exist`);
    // Not even root can read this.
    mkdirSync(join(empty, 'http.token'));
    const unreadable = await run(at);
    expect(unreadable.stderr).toContain(`this user cannot read ${empty}/http.token`);
    const wrong = join(empty, 'wrong');
    writeFileSync(wrong, 'two words');
    const refused = await run([...at, '--token-file', wrong]);
    expect(refused.status).toBe(64);
    expect(refused.stderr).toContain(`--token-file ${wrong}: a token is printable ASCII`);
  });
});
