import { type Answer, failure, json, text } from './answer.js';
import type { Health, Metrics, Ports } from './ports.js';
import type { Route } from './route.js';

/** Is it alive, does it serve clients, how is it: for supervisors, balancers, people. */
export function healthRoutes({ node, metrics, publicUrl }: Ports): Route[] {
  return [
    metricsRoute(metrics),
    {
      method: 'GET',
      path: '/livez',
      access: 'open',
      parameters: [],
      handle: () => text('ok\n', 'text/plain; charset=utf-8'),
    },
    {
      method: 'GET',
      path: '/readyz',
      access: 'open',
      parameters: [],
      handle: () => readyz(node.health()),
    },
    {
      method: 'GET',
      path: '/healthz',
      access: 'reader',
      parameters: [],
      handle: () => {
        const { notReady, degraded } = node.health();
        const { node: name, version, uptimeMs, role, state, epoch } = node.status();
        const health = notReady !== null ? 'not_ready' : degraded.length > 0 ? 'degraded' : 'ok';
        const ready = notReady === null;
        const facts = { health, ready, reason: notReady, degraded };
        return json({ ...facts, node: name, version, uptimeMs, role, state, epoch, publicUrl });
      },
    },
  ];
}

function readyz({ notReady, degraded }: Health): Answer {
  if (notReady === null) return json({ ready: true, reason: null, degraded });
  const facts = { ready: false, reason: notReady, degraded };
  return failure('ERR_HTTP_NOT_READY', notReady.text, { 'retry-after': '1' }, facts);
}

function metricsRoute(metrics: Metrics): Route {
  return {
    method: 'GET',
    path: '/metrics',
    access: 'reader',
    parameters: [],
    handle: async () => text(await metrics.render(), metrics.contentType),
  };
}
