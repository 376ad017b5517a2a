import { packageVersion } from '../../core/version.js';
import { json } from './answer.js';
import { OPERATIONS } from '../api/operations.js';
import { openApi } from './openapi.js';
import { route, type Route } from './route.js';

/** The description of the API. It is made at start, so that no request has to wait for it. */
export function openApiRoute(): Route {
  const answer = json(openApi(packageVersion()));
  return route(OPERATIONS.openApi, () => answer);
}
