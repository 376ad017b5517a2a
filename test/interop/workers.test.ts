import { type Daemon, removeDaemons } from '../support/daemon.js';
import { itWithTool } from '../support/tools.js';
import { type Line, type Program, python } from './support/program.js';
import { Registered } from './support/registered.js';
import { startDaemonOn, TRANSPORTS } from './support/transports.js';

const TOOL = 'python3-zmq';

let daemon: Daemon;
let workers: Registered;

async function worker(...args: string[]): Promise<Program> {
  return await workers.comes(python('worker', daemon.endpoint, 'work', ...args));
}

function client(version: '0.1' | '0.2', ...args: string[]): Program {
  const form = ['--form', 'envelope', '--version', version];
  return python('dealer_client', daemon.endpoint, 'work', ...args, ...form);
}

function repliesOf(lines: readonly Line[]): unknown[] {
  return lines
    .filter(({ event }) => event === 'reply')
    .map(({ kind, frames }) => [kind, ...(frames as string[])]);
}

describe.each(TRANSPORTS)('workers on pyzmq alone, over %s', (transport) => {
  beforeAll(async () => {
    daemon = await startDaemonOn(transport);
    workers = new Registered(daemon);
  });

  afterEach(() => workers.none());

  afterAll(removeDaemons);

  itWithTool(TOOL, 'PARTIALs reach a 0.2 client one by one, then FINAL (18/MDP)', async () => {
    await worker('--version', '0.2', '--mode', 'parts', '--parts', '3');
    expect(repliesOf(await client('0.2', 'x', '--count', '2').finished())).toEqual(
      ['0', '1'].flatMap((number) => [
        ['partial', 'x', number, '0'],
        ['partial', 'x', number, '1'],
        ['partial', 'x', number, '2'],
        ['final', 'last'],
      ]),
    );
  });

  itWithTool(TOOL, 'PARTIALs are one REPLY for a 0.1 client (D10)', async () => {
    await worker('--version', '0.2', '--mode', 'parts');
    expect(repliesOf(await client('0.1', 'x').finished())).toEqual([
      ['final', 'x', '0', '0', 'x', '0', '1', 'last'],
    ]);
  });

  itWithTool(TOOL, 'headers and deadline reach a worker that asks for them (D67)', async () => {
    for (const version of ['0.1', '0.2']) {
      const asking = await worker('--version', version, '--headers');
      const headers = { tenant: 'a', text: 'é' };
      const sent = ['--headers', JSON.stringify(headers), '--deadline-ms', '50000'];
      const replies = repliesOf(await client('0.2', 'x', ...sent, '--count', '2').finished());
      expect(replies).toEqual([
        ['final', 'x', '0'],
        ['final', 'x', '1'],
      ]);
      expect(repliesOf(await client('0.2', 'plain').finished())).toEqual([['final', 'plain', '0']]);
      const told = asking.lines.filter(({ event }) => event === 'headers');
      expect(told).toMatchObject([{ headers }, { headers }]);
      for (const { deadline } of told) {
        expect(Number(deadline)).toBeGreaterThan(0);
        expect(Number(deadline)).toBeLessThanOrEqual(50_000);
      }
      await workers.leaves(asking);
    }
  });

  itWithTool(TOOL, 'a worker that does not ask gets a plain REQUEST (D67)', async () => {
    const old = await worker('--version', '0.2');
    const sent = ['--headers', '{"tenant":"a"}', '--deadline-ms', '50000'];
    expect(repliesOf(await client('0.2', 'x', ...sent).finished())).toEqual([['final', 'x', '0']]);
    expect(old.lines.filter(({ event }) => event === 'strange')).toEqual([]);
  });

  itWithTool(TOOL, 'a worker without credit has one request at a time (7/MDP)', async () => {
    const held = await worker('--mode', 'hold');
    const asked = client('0.2', '--count', '3');
    for (let number = 0; number < 3; number++) {
      const { frames } = await held.waitFor('request', number + 1);
      expect(frames).toEqual([String(number)]);
      held.tell('release');
      expect(await held.waitFor('released', number + 1)).toMatchObject({ count: 1 });
    }
    expect(repliesOf(await asked.finished())).toHaveLength(3);
  });

  itWithTool(TOOL, 'a worker with credit has as many, and no more (D23)', async () => {
    for (const version of ['0.1', '0.2']) {
      const held = await worker('--version', version, '--mode', 'hold', '--credit', '5');
      const asked = client('0.2', '--count', '8');
      await held.waitFor('request', 5);
      held.tell('release');
      expect(await held.waitFor('released', 1)).toMatchObject({ count: 5 });
      await held.waitFor('request', 8);
      held.tell('release');
      expect(await held.waitFor('released', 2)).toMatchObject({ count: 3 });
      expect(repliesOf(await asked.finished())).toHaveLength(8);
      await workers.leaves(held);
    }
  });

  itWithTool(TOOL, 'RETURN gives one request to another worker (D25)', async () => {
    for (const version of ['0.1', '0.2']) {
      const giver = await worker('--version', version, '--mode', 'hold', '--credit', '2');
      const asked = client('0.1', 'x');
      await giver.waitFor('request');
      const taker = await worker('--tag', 'taker');
      // Then both have nothing to do, and the other is the least recently used.
      giver.tell('return');
      expect(repliesOf(await asked.finished())).toEqual([['final', 'x', '0', 'taker']]);
      expect(giver.said('disconnect')).toEqual([]);
      for (const each of [giver, taker]) await workers.leaves(each);
    }
  });

  itWithTool(TOOL, 'the client frame is opaque, not the client (D7)', async () => {
    const held = await worker('--mode', 'hold');
    const asked = client('0.2', '--identity', 'a-secret-name');
    const { client: token } = await held.waitFor('request');
    expect(String(token)).not.toContain('secret');
    expect(String(token).length).toBeGreaterThanOrEqual(8);
    held.tell('release');
    await asked.finished();
  });
});
