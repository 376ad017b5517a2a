import { packageVersion } from '../../core/version.js';
import { type Answer, json } from './answer.js';
import { OPERATIONS } from '../api/operations.js';
import { route, type Route } from './route.js';

/** The description of the API. It is made for the first who asks, because to make it takes a noticeable part of a start. */
export function openApiRoute(): Route {
  let answer: Answer | null = null;
  return route(OPERATIONS.openApi, async () => {
    const { openApi } = await import('./openapi.js');
    if (answer === null) {
      const made = json(openApi(packageVersion()));
      // All who read it slowly share this buffer.
      answer = { ...made, body: Buffer.from(made.body) };
    }
    return answer;
  });
}
