import type { BrokerOptions } from '../../../src/broker/options.js';
import { hold } from '../world/failure.js';
import { show } from './expected.js';
import { keyOf } from './requests.js';
import type { ModelRequest, ModelWorker } from './state.js';

/** A REQUEST with this body is sent to this worker: checks that both are next in turn. */
export function checkDispatch(
  request: ModelRequest | undefined,
  worker: ModelWorker,
  body: readonly Buffer[],
  options: BrokerOptions,
  now: number,
): asserts request is ModelRequest {
  hold(request !== undefined, `a worker is given a request that nobody waits for: ${show(body)}`);
  const key = keyOf(body);
  const { intent, service } = request;
  hold(body.length === intent.body.length, `${key} has other frames`);
  hold(
    body.every((frame, index) => intent.body[index]?.equals(frame) === true),
    `${key} has other bytes`,
  );
  hold(request.state === 'queued', `${key} is dispatched though it is out`);
  hold(service === worker.service, `${key} goes to a worker of another service`);
  const first = service.queue.find((other) => other.isBefore(request));
  hold(first === undefined, `${key} overtakes ${keyOf(first?.intent.body ?? [])}`);
  hold(service.nextWorker() === worker, `peer ${worker.peer.id} is not the next worker`);
  hold(request.deliveries < options.maxDeliveries, `${key} is delivered once too often`);
  hold(request.expiresAt > now, `${key} is delivered after its time`);
  hold(!(request.client?.departed ?? true), `${key} is delivered for nobody`);
}

/**
 * What stands between the empty frame and the body of a REQUEST to this worker: deadline and headers
 * if the client sent them and the worker asked for them (D67).
 */
export function checkMetadata(
  { intent, deadlineAt }: ModelRequest,
  worker: ModelWorker,
  told: readonly Buffer[],
  now: number,
): void {
  const key = keyOf(intent.body);
  const metadata = worker.wantsHeaders ? (intent.metadata ?? null) : null;
  if (metadata === null) {
    hold(told.length === 0, `${key} comes with headers that nobody sent or wants`);
    return;
  }
  const [deadline, headers] = told;
  const left = deadlineAt === Infinity ? '' : String(Math.ceil(deadlineAt - now));
  hold(deadline?.toString() === left, `${key} has ${left} ms left, and not ${show(told)}`);
  hold(headers?.equals(metadata.headers) === true, `${key} has other headers`);
}
