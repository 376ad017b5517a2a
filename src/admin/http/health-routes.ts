import { type Answer, failure, json, text } from './answer.js';
import { OPERATIONS } from '../api/operations.js';
import type { Health, Ports } from '../ports.js';
import { jsonRoute, route, type Route } from './route.js';

/** Liveness, readiness, health and metrics: for supervisors, load balancers and people. */
export function healthRoutes({ node, metrics, publicUrl }: Ports): Route[] {
  return [
    route(OPERATIONS.metrics, async () => text(await metrics.render(), metrics.contentType)),
    route(OPERATIONS.livez, () => text('ok\n', 'text/plain; charset=utf-8')),
    route(OPERATIONS.readyz, () => readyz(node.health())),
    route(OPERATIONS.servez, () => {
      const health = node.health();
      const isServed = health.notReady === null || health.takesOver;
      return isServed ? text('ok\n', 'text/plain; charset=utf-8') : readyz(health);
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

function readyz({ notReady, degraded }: Health): Answer {
  if (notReady === null) return json({ ready: true, reason: null, degraded });
  const facts = { ready: false, reason: notReady, degraded };
  return failure('ERR_HTTP_NOT_READY', notReady.text, { 'retry-after': '1' }, facts);
}
