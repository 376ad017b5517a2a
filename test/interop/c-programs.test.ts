import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Daemon, removeDaemons } from '../support/daemon.js';
import { itWithTool, toolAvailable } from '../support/tools.js';
import { compile, execute, killPrograms } from './support/program.js';
import { startDaemonOn, TRANSPORTS } from './support/transports.js';

const TOOL = 'gcc and libzmq3-dev';
const SOURCES = ['req_client', 'dealer_worker', 'dealer_client'] as const;

let directory: string;
let daemon: Daemon;

function program(name: (typeof SOURCES)[number], ...args: (string | number)[]) {
  return execute(join(directory, name), daemon.endpoint, ...args);
}

describe.each(TRANSPORTS)('C programs on libzmq, over %s', (transport) => {
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'mdp-c-'));
    if (toolAvailable(TOOL)) for (const source of SOURCES) compile(source, directory);
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  beforeEach(async () => {
    daemon = await startDaemonOn(transport);
  });

  afterEach(async () => {
    await killPrograms();
    await removeDaemons();
  });

  itWithTool(TOOL, 'a REQ client is answered by a DEALER worker (7/MDP)', async () => {
    const worker = program('dealer_worker', 'upper', 1);
    const client = program('req_client', 'upper', 'hello');
    expect(await client.finished()).toEqual([{ event: 'reply', frames: ['HELLO'] }]);
    await worker.finished();
    expect(await daemon.waitFor('worker.lost')).toMatchObject({ reason: 'disconnected' });
  });

  itWithTool(TOOL, 'a DEALER has 2,000 requests outstanding, each answered once', async () => {
    const worker = program('dealer_worker', 'BODY', 2000);
    const client = program('dealer_client', 'BODY', 2000);
    expect(await client.finished()).toEqual([{ event: 'done', right: 2000 }]);
    await worker.finished();
  });
});
