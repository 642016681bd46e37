import { createRoute, z } from '@hono/zod-openapi';
import { guard } from '../auth.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiDeps } from '../context.ts';
import { metricsType } from '../metrics.ts';

const metrics = createRoute({
  method: 'get',
  path: '/metrics',
  tags: ['health'],
  summary: 'Counters and gauges in the text format of Prometheus',
  ...guard('metrics:read'),
  responses: { 200: { description: 'One scrape.', content: { 'text/plain': { schema: z.string() } } } },
});

export function addMetricsRoute(app: Api, deps: ApiDeps, chain: Chain): void {
  app.openapi(metrics, async (c) =>
    c.text(await chain.metrics.render(deps.database), 200, { 'Content-Type': metricsType }),
  );
}
