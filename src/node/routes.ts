/** What HTTP answers: loaded with the first connection. */
import { indexRoute } from '../admin/http/index-route.js';
import { type PageFile, pageRoutes } from '../admin/http/page-routes.js';
import type { Route } from '../admin/http/route.js';
import { routesOf } from '../admin/http/routes.js';
import type { Log } from '../admin/log/log.js';
import { Metrics, type MetricSources } from '../admin/metrics/metrics.js';
import type { Ports } from '../admin/ports.js';
import type { Config } from '../config/config.js';
import type { Extension } from './extension.js';

/** The API, and the page or its replacement. */
export async function allRoutes(
  config: Config,
  ports: Omit<Ports, 'metrics'>,
  sources: MetricSources,
  extensions: readonly Extension[],
  page: readonly PageFile[],
  log: Log,
): Promise<readonly Route[]> {
  const others = await Promise.all(
    extensions.flatMap(({ routes }) => (routes === undefined ? [] : [routes(config)])),
  );
  const routes = routesOf({ ...ports, metrics: new Metrics(sources, log) }, others);
  return [...routes, ...(page.length > 0 ? pageRoutes(page) : [indexRoute(routes)])];
}
