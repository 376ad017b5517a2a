/**
 * HTTP in front of services, with statuses and URLs of its own: node http-front.ts
 *
 * See docs/recipes/http-front.md.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, isMajordomoError, type Job } from 'majordomo-sdk';

/** Only these are reachable over HTTP. */
const SERVICES: ReadonlySet<string> = new Set(['upper', 'render']);
const BODY_BYTES_MAX = 1_048_576;

const client = connect('tcp://127.0.0.1:5555', { timeoutMs: 10_000, ifNoWorker: 'fail' });

class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function isHttpError(error: unknown): error is HttpError {
  return typeof error === 'object' && error !== null && 'status' in error;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new HttpError(413, 'The body is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function known(service: string | undefined): string {
  if (service !== undefined && SERVICES.has(service)) return service;
  throw new HttpError(404, 'There is no such service.');
}

function jobOf(uuid: string): Job {
  if (/^[0-9A-F]{32}$/i.test(uuid)) return client.job(uuid);
  throw new HttpError(404, 'There is no such job.');
}

async function answer(request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
  const [, first, second] = (request.url ?? '/').split('/');
  if (request.method === 'POST' && first === 'jobs') {
    const service = known(second);
    const key = request.headers['idempotency-key'];
    const options = typeof key === 'string' ? { idempotencyKey: key } : {};
    const job = await client.enqueue(service, await bodyOf(request), { ...options, signal });
    response.writeHead(202, { location: `/jobs/${job.uuid}` }).end();
  } else if (first === 'jobs' && second !== undefined && request.method === 'GET') {
    const job = await jobOf(second).state({ signal });
    if (job.state === 'pending') response.writeHead(202, { 'retry-after': '1' }).end();
    else if (job.state === 'replied') response.writeHead(200).end(Buffer.concat(job.reply.frames));
    else if (job.state === 'dead') throw new HttpError(500, job.reason);
    else throw new HttpError(404, 'There is no such job.');
  } else if (first === 'jobs' && second !== undefined && request.method === 'DELETE') {
    await jobOf(second).close({ signal });
    response.writeHead(204).end();
  } else if (request.method === 'POST' && second === undefined) {
    const reply = await client.request(known(first), await bodyOf(request), { signal });
    response.writeHead(200).end(Buffer.concat(reply.frames));
  } else {
    throw new HttpError(404, 'There is nothing here.');
  }
}

/** What the services of this front report when the request itself is wrong. */
const SERVICE_STATUS: Readonly<Record<string, number>> = { invalid_argument: 400, not_found: 404 };

function statusOf(error: unknown): number {
  if (isHttpError(error)) return error.status;
  if (!isMajordomoError(error)) return 500;
  if (isMajordomoError(error, 'ERR_SERVICE_FAILED')) {
    return SERVICE_STATUS[error.serviceCode] ?? 500;
  }
  switch (error.code) {
    case 'ERR_MDP_TIMEOUT': // sent, but no answer in time; it may still run
      return 504;
    case 'ERR_MDP_NO_WORKER':
    case 'ERR_MDP_UNREACHABLE': // no broker
    case 'ERR_MDP_LIMIT': // too many requests outstanding in this front
    case 'ERR_TITANIC_REFUSED': // not stored
      return 503;
    case 'ERR_MDP_REFUSED': {
      const { status } = error.details; // 408: no reply in time; 502: the workers that took it died
      return status === '408' ? 504 : status === '502' ? 502 : 503;
    }
    default: // a mistake of this program, for example ERR_MDP_FORBIDDEN
      return 500;
  }
}

export const server = createServer((request, response) => {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  answer(request, response, gone.signal).catch((error: unknown) => {
    if (gone.signal.aborted) return; // nobody reads the answer
    const status = statusOf(error);
    if (status === 500) console.error(error);
    const message = status < 500 ? (error as Error).message : 'The request failed.';
    if (status === 503) response.setHeader('retry-after', '1');
    if (!request.complete) response.setHeader('connection', 'close'); // the rest is not read
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message } }));
  });
});
server.listen(8080, '127.0.0.1');
process.once('SIGTERM', () => server.close(() => void client.close()));
