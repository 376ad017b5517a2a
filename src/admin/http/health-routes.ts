import { type Answer, failure, json, LATER, text } from './answer.js';
import { OPERATIONS } from '../api/operations.js';
import { takesGzip } from './check.js';
import type { Health, Ports } from '../ports.js';
import { jsonRoute, route, type Route } from './route.js';

/** Liveness, readiness, health and metrics: for supervisors, load balancers and people. */
export function healthRoutes({ node, metrics, publicUrl }: Ports): Route[] {
  return [
    route(OPERATIONS.metrics, async ({ incoming: { headers } }) => {
      const page = await metrics.render();
      const vary = { vary: 'accept-encoding' };
      return takesGzip(headers['accept-encoding'])
        ? text(await page.gzipped, metrics.contentType, { ...vary, 'content-encoding': 'gzip' })
        : text(page.plain, metrics.contentType, vary);
    }),
    route(OPERATIONS.livez, () => text('ok\n', 'text/plain; charset=utf-8')),
    route(OPERATIONS.readyz, ({ caller }) => readyz(node.health(), caller !== 'anyone')),
    route(OPERATIONS.servez, ({ caller }) => {
      const health = node.health();
      const isServed = health.notReady === null || health.takesOver;
      if (isServed) return text('ok\n', 'text/plain; charset=utf-8');
      return readyz(health, caller !== 'anyone');
    }),
    jsonRoute(OPERATIONS.healthz, () => {
      const { notReady, degraded } = node.health();
      const { node: name, version, uptimeMs, role, state, epoch } = node.status();
      const health = notReady !== null ? 'not_ready' : degraded.length > 0 ? 'degraded' : 'ok';
      const facts = { health, ready: notReady === null, reason: notReady, degraded } as const;
      return { ...facts, node: name, version, uptimeMs, role, state, epoch, publicUrl };
    }),
  ];
}

/** @param toldAll false: texts are left out, which have names of programs and errors of servers in them */
function readyz({ notReady, degraded: all }: Health, toldAll: boolean): Answer {
  const degraded = toldAll ? all : all.map(({ code }) => ({ code, text: null }));
  if (notReady === null) return json({ ready: true, reason: null, degraded });
  const facts = { ready: false, reason: notReady, degraded };
  return failure('ERR_HTTP_NOT_READY', notReady.text, LATER, facts);
}
