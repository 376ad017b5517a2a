/**
 * What other systems do, as their package for Debian sets them up, for docs/comparison.md: how often they sync to disk while they
 * acknowledge a hundred jobs one after the other, and how long the job of a killed worker waits for the next one.
 * `scripts/platforms.sh elsewhere` runs it, in a root file system that has them.
 *
 *     node scripts/elsewhere.mjs ROOT
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as dial } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePort } from './free-port.mjs';

const JOBS = 100;
/** Longer than any default that is waited for: 30 s of NATS, and of BullMQ twice. */
const PATIENCE_MS = 75_000;
const [, , ROOT] = process.argv;
const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const brought = createRequire(join(ROOT, 'opt/package.json'));

/** A connection that waits until somebody listens. */
async function connected(port) {
  for (let tries = 0; ; tries++) {
    const socket = dial(port, '127.0.0.1');
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (isOpen) return socket;
    if (tries > 300) throw new Error(`nobody listens on ${port}`);
    await sleep(100);
  }
}

/** Lines of text over a connection: each question has an answer, which begins with a line. */
class Lines {
  #waiting = [];

  constructor(socket) {
    this.socket = socket;
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      for (let at = text.indexOf('\r\n'); at >= 0; at = text.indexOf('\r\n')) {
        const line = text.slice(0, at);
        text = text.slice(at + 2);
        this.#waiting.shift()?.(line);
      }
    });
    socket.on('error', () => {});
  }

  /** @returns the first of `count` lines */
  ask(question, count = 1) {
    const lines = Array.from(
      { length: count },
      () => new Promise((resolve) => this.#waiting.push(resolve)),
    );
    this.socket.write(question);
    return Promise.all(lines).then(([first]) => first);
  }
}

const resp = (...words) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

/** Valkey and beanstalkd: what puts a job, and what takes it. */
async function textSystem(port, put, take, answerLines) {
  const producer = new Lines(await connected(port));
  return {
    put: () => producer.ask(put),
    async take() {
      const worker = new Lines(await connected(port));
      const got = worker.ask(take, answerLines);
      return { got, kill: () => worker.socket.resetAndDestroy() };
    },
    close: () => producer.socket.destroy(),
  };
}

async function nats(port) {
  const { connect } = await import('@nats-io/transport-node');
  (await connected(port)).destroy();
  const servers = `127.0.0.1:${port}`;
  const client = await connect({ servers });
  const api = async (subject, body, on = client) => {
    const { data } = await on.request(`$JS.API.${subject}`, JSON.stringify(body), {
      timeout: 5000,
    });
    const answer = JSON.parse(new TextDecoder().decode(data));
    if (answer.error !== undefined) throw new Error(JSON.stringify(answer.error));
  };
  await api('STREAM.CREATE.JOBS', {
    name: 'JOBS',
    subjects: ['job'],
    retention: 'workqueue',
    storage: 'file',
  });
  const config = { durable_name: 'w', ack_policy: 'explicit' };
  await api('CONSUMER.DURABLE.CREATE.JOBS.w', { stream_name: 'JOBS', config });
  return {
    put: () => client.request('job', 'hello', { timeout: 5000 }),
    async take() {
      const worker = await connect({ servers });
      const inbox = `inbox.${Math.random()}`;
      const subscription = worker.subscribe(inbox, { max: 1 });
      const ask = JSON.stringify({ batch: 1, expires: PATIENCE_MS * 1e6 });
      worker.publish('$JS.API.CONSUMER.MSG.NEXT.JOBS.w', ask, { reply: inbox });
      const got = (async () => {
        for await (const _ of subscription) return;
      })();
      // (Its client closes the socket at once.)
      return { got, kill: () => void worker.close() };
    },
    close: () => client.close(),
  };
}

async function rabbitmq(port) {
  const amqp = brought('amqplib');
  (await connected(port)).destroy();
  let connection;
  for (let tries = 0; connection === undefined; tries++) {
    connection = await amqp.connect(`amqp://127.0.0.1:${port}`).catch((error) => {
      if (tries > 60) throw error;
    });
    if (connection === undefined) await sleep(500);
  }
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('job', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  return {
    async put() {
      channel.sendToQueue('job', Buffer.from('hello'), { persistent: true });
      await channel.waitForConfirms();
    },
    async take() {
      const own = await amqp.connect(`amqp://127.0.0.1:${port}`);
      own.on('error', () => {});
      const worker = await own.createChannel();
      await worker.prefetch(1);
      const got = new Promise((resolve) => void worker.consume('job', resolve));
      return { got, kill: () => own.connection.stream.resetAndDestroy() };
    },
    close: () => connection.close(),
  };
}

async function bullmq(port) {
  const { Queue, Worker } = brought('bullmq');
  (await connected(port)).destroy();
  const connection = { host: '127.0.0.1', port };
  const queue = new Queue('job', { connection });
  return {
    put: () => queue.add('job', 'hello'),
    async take() {
      let worker;
      const got = new Promise((resolve) => {
        worker = new Worker('job', () => (resolve(), new Promise(() => {})), { connection });
      });
      worker.on('error', () => {});
      return { got, kill: () => void worker.close(true) };
    },
    close: () => queue.close(),
  };
}

async function majordomo(port) {
  const { Client } = await import('majordomo-sdk');
  (await connected(port)).destroy();
  const endpoints = `tcp://127.0.0.1:${port}`;
  const client = new Client({ endpoints, timeoutMs: PATIENCE_MS });
  return {
    put: () => client.enqueue('job', 'hello', { backoff: { baseMs: 1, maxMs: 1 } }),
    async take() {
      const program = `
        const { Worker } = await import('majordomo-sdk');
        const handler = () => (process.stdout.write('got'), new Promise(() => {}));
        await new Worker({ endpoints: '${endpoints}', service: 'job' }, handler).run();`;
      const args = ['--input-type=module', '--eval', program];
      const worker = spawn(process.execPath, args, {
        cwd: REPOSITORY,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return { got: once(worker.stdout, 'data'), kill: () => worker.kill('SIGKILL') };
    },
    close: () => client.close(),
  };
}

const inRoot = (...command) => ['chroot', ROOT, ...command];
const beanstalk = (port) => textSystem(port, 'put 0 0 30 5\r\nhello\r\n', 'reserve\r\n', 2);
const list = (port) =>
  textSystem(
    port,
    resp('RPUSH', 'jobs', 'hello'),
    resp('BLMOVE', 'jobs', 'taken', 'LEFT', 'RIGHT', '0'),
    2,
  );

/** Name → what starts it with a port and a folder inside ROOT, and its client. */
const SYSTEMS = {
  'beanstalkd -b': [
    (port, folder) => inRoot('beanstalkd', '-l', '127.0.0.1', '-p', `${port}`, '-b', folder),
    beanstalk,
  ],
  Valkey: [(port, folder) => inRoot('valkey-server', '--port', `${port}`, '--dir', folder), list],
  'Valkey, appendonly': [
    (port, folder) =>
      inRoot('valkey-server', '--port', `${port}`, '--dir', folder, '--appendonly', 'yes'),
    list,
  ],
  'BullMQ on Valkey': [
    (port, folder) =>
      inRoot('valkey-server', '--port', `${port}`, '--dir', folder, '--appendonly', 'yes'),
    bullmq,
  ],
  'NATS JetStream': [
    (port, folder) =>
      inRoot('nats-server', '-a', '127.0.0.1', '-p', `${port}`, '-js', '-sd', folder),
    nats,
  ],
  'RabbitMQ, quorum queue': [
    (port, folder) =>
      inRoot(
        'env',
        'HOME=/root',
        `RABBITMQ_NODE_PORT=${port}`,
        'RABBITMQ_NODE_IP_ADDRESS=127.0.0.1',
        `RABBITMQ_NODENAME=r${port}@localhost`,
        `RABBITMQ_MNESIA_BASE=${folder}`,
        `RABBITMQ_LOG_BASE=${folder}`,
        '/usr/lib/rabbitmq/bin/rabbitmq-server',
      ),
    rabbitmq,
  ],
  'Majordomo, durable': [
    (port, folder) => [
      process.execPath,
      join(REPOSITORY, 'dist/main.js'),
      'serve',
      '--set',
      `broker.listen=tcp://127.0.0.1:${port}`,
      '--set',
      'http.listen=off',
      '--set',
      `node.dataDir=${ROOT}${folder}`,
    ],
    majordomo,
  ],
};

function syncsIn(file) {
  return (
    readFileSync(file, 'utf8').match(/\b(?:fsync|fdatasync|msync|sync_file_range)\(/g)?.length ?? 0
  );
}

async function measured(name, [command, open]) {
  const port = await freePort();
  const folder = mkdtempSync(join(ROOT, 'tmp/elsewhere-'));
  const trace = join(folder, 'trace');
  const inside = join('/tmp', basename(folder));
  const watch = ['-f', '-qq', '-e', 'trace=fsync,fdatasync,msync,sync_file_range', '-o', trace];
  const server = spawn('strace', [...watch, ...command(port, inside)], {
    detached: true,
    stdio: 'ignore',
  });
  try {
    const system = await open(port);
    await system.put();
    const first = await system.take();
    await first.got;
    const next = await system.take();
    await sleep(1000);
    const from = performance.now();
    first.kill();
    const again = next.got.then(() => Math.round(performance.now() - from));
    const ms = await Promise.race([again, sleep(PATIENCE_MS).then(() => null)]);
    const after = ms === null ? `not within ${PATIENCE_MS / 1000} s` : `${ms} ms`;
    next.kill();
    await sleep(2000);
    const before = syncsIn(trace);
    for (let job = 0; job < JOBS; job++) await system.put();
    const syncs = syncsIn(trace) - before;
    console.log(
      `${name}: ${syncs} syncs for ${JOBS} acknowledged jobs; the job of a killed worker: ${after}`,
    );
  } finally {
    process.kill(-server.pid, 'SIGKILL');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

const only = process.argv.slice(3);
for (const [name, system] of Object.entries(SYSTEMS)) {
  if (only.length === 0 || only.some((each) => name.includes(each))) await measured(name, system);
}
process.exit();
