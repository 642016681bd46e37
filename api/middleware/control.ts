import type { MiddlewareHandler } from 'hono';
import { admit, alwaysOn, openCluster } from '../../domain/control.ts';
import { type Chain, settingsFor } from '../chain.ts';
import type { ApiDeps, ApiEnv } from '../context.ts';
import { ProblemError } from '../problems.ts';
import { isRead, overLimit, showLimit } from '../quota.ts';

/**
 * The switchboard: a part of the API that is switched off, kept for a feature or limited says so here, to everyone.
 * There is no principal that passes it by.
 */
export function controlCore(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const operation = chain.operationOf(c);
    const isOpen =
      operation === null || alwaysOn.includes(operation.cluster) || operation.name === 'GET /v1/me';
    if (!isOpen) {
      const { clusters } = await settingsFor(c, chain, deps);
      const cluster = clusters.get(operation.cluster) ?? openCluster(operation.cluster);
      const denial = admit(cluster, c.get('tier'));
      if (denial !== null) {
        c.set('denial', { because: denial.because });
        const code = denial.because === 'switched-off' ? 'UNAVAILABLE' : 'FORBIDDEN';
        throw new ProblemError(code, denial.message, {
          details: { cluster: cluster.name, because: denial.because },
        });
      }
      if (cluster.perMinute !== null) {
        const { id, name } = c.get('principal');
        const key = `cluster:${cluster.name}:${id}`;
        const counted = await chain.quota.add(key, 1, { mayFail: isRead(c) });
        showLimit(c, cluster.perMinute, counted);
        if (counted.count > cluster.perMinute)
          throw overLimit(
            c,
            `${name} has used the ${cluster.perMinute} requests a minute of ${cluster.name}.`,
            counted.resetMs,
            { cluster: cluster.name, limitPerMinute: cluster.perMinute },
          );
      }
    }
    c.set('isAdmitted', true);
    await next();
  };
}
