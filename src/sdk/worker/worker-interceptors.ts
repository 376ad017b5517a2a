/** Functions around the handlers of a worker, for instance for tracing, metrics or rights. */
import type { Body } from '../body.js';
import type { Request } from '../message.js';
import { type Handler, lastOf } from './handler.js';

/**
 * A function around the handler of each request: it calls `next`, which runs the handler, and returns what that
 * resolves with, or an answer of its own. It may call `next` again. Of a handler that streams, `next` resolves with the last part; the others are on their way
 * by then. The first interceptor of the list is the outermost. What it throws is a failure of the handler.
 *
 *     const timing: WorkerInterceptor = async (request, next) => {
 *       const began = performance.now();
 *       try {
 *         return await next();
 *       } finally {
 *         log.info({ service: request.service, ms: performance.now() - began });
 *       }
 *     };
 *
 * @typeParam Value what the codec reads from requests
 * @typeParam Answer what the codec makes answers of
 */
export type WorkerInterceptor<Value = Buffer, Answer = Body> = (
  request: Request<Value>,
  next: () => Promise<Answer>,
) => Promise<Answer>;

/** The handler within all interceptors. */
export function within(interceptors: readonly WorkerInterceptor[], handler: Handler): Handler {
  return interceptors.reduceRight<Handler>(
    (inner, interceptor) => async (request, context) =>
      await interceptor(
        request,
        async () => (await lastOf(inner(request, context), context)) as Body,
      ),
    handler,
  );
}
