/** The result of a request that a program has stored, and its end. */
import { type Answer, json, LATER } from '../../admin/http/answer.js';
import { OPERATIONS } from '../../admin/api/operations.js';
import { httpError } from '../../admin/http/errors.js';
import { route, type Route } from '../../admin/http/route.js';
import { Frames } from '../../core/frames.js';
import { clientRequest } from '../../wire/client-side.js';
import { CLOSE_STRICT, TITANIC_CLOSE, TITANIC_WAIT, uuidText } from '../../wire/tsp.js';
import { endAnswer, titanicAnswer, titanicFailure, type TitanicAnswer } from './answers.js';
import { outcomeOf } from './ask.js';
import type { Callers } from './callers.js';
import { wantedBy } from './headers.js';
import { Reply } from './reply.js';

/** How long the store may take beside what the program waits for. */
const STORE_MS = 30_000;
const PENDING = 300;

/** @throws ERR_HTTP_NOT_FOUND if this node stores no requests */
export function checkStored(isStored: boolean): void {
  if (isStored) return;
  const text = 'durable requests are switched off: titanic.enabled is false';
  throw httpError('ERR_HTTP_NOT_FOUND', text);
}

/** @param isStored whether this node stores requests */
export function durableRoutes(callers: () => Callers, isStored: boolean): Route[] {
  return [
    route(OPERATIONS.result, async (request) => {
      const { parts, query, incoming, tokenName } = request;
      checkStored(isStored);
      const uuid = uuidText(parts.uuid);
      const body = [Buffer.from(uuid), Buffer.from(String(query.waitMs))];
      const order = { service: TITANIC_WAIT, body, timeoutMs: query.waitMs + STORE_MS };
      return await asked(callers(), tokenName, incoming, order, (answer) => {
        if (answer.status === PENDING) {
          return json({ uuid, state: 'pending' }, 202, LATER);
        }
        if (answer.status !== 200) return titanicFailure(answer);
        return new Reply(wantedBy(incoming.headers)).answer(answer.rest);
      });
    }),
    route(OPERATIONS.close, async ({ parts, incoming, tokenName }) => {
      checkStored(isStored);
      const uuid = uuidText(parts.uuid);
      // Without `strict` the answer would tell whether there is a request of this uuid.
      const body = [Buffer.from(uuid), CLOSE_STRICT];
      const order = { service: TITANIC_CLOSE, body, timeoutMs: STORE_MS };
      return await asked(callers(), tokenName, incoming, order, (answer) =>
        answer.status === 200 ? json({ uuid, state: 'closed' }) : titanicFailure(answer),
      );
    }),
  ];
}

async function asked(
  port: Callers,
  tokenName: string | null,
  incoming: Parameters<Parameters<typeof route>[1]>[0]['incoming'],
  order: { readonly service: string; readonly body: readonly Buffer[]; readonly timeoutMs: number },
  shown: (answer: TitanicAnswer) => Answer,
): Promise<Answer> {
  const call = port.take(tokenName, incoming, null);
  await incoming.bytes(0, () => undefined);
  const outcome = await outcomeOf(order.timeoutMs, call, (listener) => {
    const request = clientRequest(2, null, Buffer.from(order.service), order.body);
    call.send(Frames.of(...request), listener);
  });
  if ('type' in outcome) return outcome;
  return outcome.kind === 'reply' ? shown(titanicAnswer(outcome)) : endAnswer(outcome);
}
