import { text } from './answer.js';
import type { Route } from './route.js';

/** `/` if the page was not built: a list of the other paths. */
export function indexRoute(routes: readonly Route[]): Route {
  const lines = routes.map(({ method, path }) => `${method.padEnd(4)} ${path}\n`);
  return {
    method: 'GET',
    path: '/',
    access: 'open',
    parameters: [],
    handle: () => text(`Majordomo\n\n${lines.join('')}`, 'text/plain; charset=utf-8'),
  };
}
