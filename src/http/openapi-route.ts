import { packageVersion } from '../core/version.js';
import { json } from './answer.js';
import { openApi } from './openapi.js';
import type { Route } from './route.js';

/** The description of all this. */
export function openApiRoute(): Route {
  const answer = json(openApi(packageVersion()));
  return {
    method: 'GET',
    path: '/api/v1/openapi.json',
    access: 'reader',
    parameters: [],
    handle: () => answer,
  };
}
