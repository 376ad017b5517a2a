/**
 * The service `echo` with metrics of its own for Prometheus (npm install prom-client):
 * node metrics-worker.js [ENDPOINT] [PORT]
 */
import { createServer } from 'node:http';
import { isMajordomoError, Worker, type WorkerInterceptor } from 'majordomo-sdk';
import { Histogram, register } from 'prom-client';

const endpoint = process.argv[2] ?? 'tcp://127.0.0.1:5555';
const port = Number(process.argv[3] ?? 9464);

const seconds = new Histogram({
  name: 'handler_seconds',
  help: 'How long handlers took.',
  labelNames: ['service', 'outcome'],
});

const measured: WorkerInterceptor = async ({ service }, next) => {
  const end = seconds.startTimer({ service });
  try {
    const answer = await next();
    end({ outcome: 'ok' });
    return answer;
  } catch (error) {
    const isFailure = isMajordomoError(error, 'ERR_SERVICE_FAILED');
    end({ outcome: isFailure ? error.serviceCode : 'error' });
    throw error;
  }
};

const worker = new Worker(
  { endpoints: endpoint, service: 'echo', interceptors: [measured] },
  (request) => request.frames,
);

const server = createServer((_request, response) => {
  response.setHeader('content-type', register.contentType);
  void register.metrics().then((text) => response.end(text));
}).listen(port, '127.0.0.1');

process.once('SIGTERM', () => void worker.close());
process.once('SIGINT', () => void worker.close());
await worker.ready;
console.log(`metrics at http://127.0.0.1:${port}/metrics`);
await worker.run();
server.close();
