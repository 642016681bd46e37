import { OpenAPIHono } from '@hono/zod-openapi';
import { refuse } from '../domain/refusal.ts';
import { authenticate } from './auth.ts';
import { createChain } from './chain.ts';
import type { Api, ApiDeps, ApiEnv } from './context.ts';
import { renderDocs } from './docs.ts';
import { describeApi } from './document.ts';
import { createEventSchemas } from './event-schemas.ts';
import { envelope, handleError, handleNotFound } from './http.ts';
import { issuesOf } from './issues.ts';
import { limitAddress } from './middleware/address.ts';
import { controlCore } from './middleware/control.ts';
import { cors } from './middleware/cors.ts';
import { idempotent } from './middleware/idempotency.ts';
import { keepOutOfSearch } from './middleware/seo.ts';
import { refuseBlocked, watch } from './middleware/shield.ts';
import { resolveTiers } from './middleware/tier.ts';
import { joinTrace } from './middleware/trace.ts';
import { throwRefusal } from './problems.ts';
import { addAccessRoutes } from './routes/access.ts';
import { addAgentRoutes } from './routes/agents.ts';
import { addSquadRoutes } from './routes/squads.ts';
import { addAuditExportRoute } from './routes/audit-export.ts';
import { addAuditRoutes } from './routes/audit.ts';
import { addApprovalChangeRoutes } from './routes/approval-changes.ts';
import { addApprovalRoutes } from './routes/approvals.ts';
import { addChannelRoutes } from './routes/channels.ts';
import { addWormholeChangeRoutes } from './routes/wormhole-changes.ts';
import { addWormholeRoutes } from './routes/wormholes.ts';
import { addWormholeTrialRoutes } from './routes/wormhole-trials.ts';
import { addNotificationRoutes } from './routes/notifications.ts';
import { addControlRoutes } from './routes/control.ts';
import { addDeadLetterActionRoutes } from './routes/dead-letter-actions.ts';
import { addDeadLetterRoutes } from './routes/dead-letters.ts';
import { addAutonomyRoutes } from './routes/autonomy.ts';
import { addBridgeRoutes } from './routes/bridge.ts';
import { addBroadcastRoute } from './routes/broadcasts.ts';
import { addBulkDecisionRoute } from './routes/bulk-decisions.ts';
import { addDecisionRoutes } from './routes/decisions.ts';
import { addEventIngestRoute } from './routes/event-ingest.ts';
import { addEventSchemaRoutes } from './routes/event-schemas.ts';
import { addEventTypeRoute } from './routes/event-types.ts';
import { addEnvelopeRoute } from './routes/envelopes.ts';
import { addEventRoutes } from './routes/events.ts';
import { addEventStatsRoute } from './routes/event-stats.ts';
import { addHaloRoutes } from './routes/halo.ts';
import { addHookDoor } from './routes/hook-door.ts';
import { addHookRoutes } from './routes/hooks.ts';
import { addKillSwitchRoutes } from './routes/kill-switch.ts';
import { addMemoryRoutes } from './routes/memory.ts';
import { addMemoryTransferRoutes } from './routes/memory-transfer.ts';
import { addMetricsRoute } from './routes/metrics.ts';
import { addPolicyBackTestRoute } from './routes/policy-backtest.ts';
import { addPolicyRoutes } from './routes/policies.ts';
import { addProbeRoutes } from './routes/probes.ts';
import { addRetentionRoutes } from './routes/retention.ts';
import { addRepairRoutes } from './routes/repairs.ts';
import { addRedriveRoutes } from './routes/redrives.ts';
import { addSecurityRoutes } from './routes/security.ts';
import { addSubscriptionActionRoutes } from './routes/subscription-actions.ts';
import { addSubscriptionSecretRoute } from './routes/subscription-secret.ts';
import { addSubscriptionTestRoute } from './routes/subscription-test.ts';
import { addSubscriptionRoutes } from './routes/subscriptions.ts';
import { addReplayListRoutes } from './routes/replay-list.ts';
import { addReplayRoutes } from './routes/replays.ts';
import { addShadowRoute } from './routes/shadow.ts';
import { addStreamRoute } from './routes/stream.ts';
import { addSystemRoutes } from './routes/system.ts';
import { addTaskActionRoutes } from './routes/task-actions.ts';
import { addTaskCreateRoute } from './routes/task-create.ts';
import { addTaskRoutes } from './routes/tasks.ts';
import { addThreadRoutes } from './routes/threads.ts';

/** The HTTP API over its dependencies; it opens nothing itself, so tests give it fakes. */
export function createApp(deps: ApiDeps): Api {
  const app: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      const issues = issuesOf(result.error);
      // An id that no record could have is as unknown as any other.
      if (result.target === 'param') throwRefusal(refuse('NOT_FOUND', 'There is nothing with this id.'));
      const [first] = issues;
      const part = result.target === 'json' ? 'body' : result.target;
      const where = first === undefined || first.path.length === 0 ? part : first.path.join('.');
      throwRefusal(refuse('INVALID', `${where}: ${first?.message ?? 'not valid'}`, { in: part, issues }));
    },
  });
  const chain = createChain(app, deps);
  const schemas = createEventSchemas(deps.database);
  // The seed's order (K28). The envelope gives every answer its ids, so a refusal at any step has them.
  app.use('*', envelope(deps, chain));
  app.use('*', watch(chain));
  app.use('*', cors(deps.http.corsOrigins));
  app.use('*', limitAddress(deps, chain));
  app.use('*', joinTrace());
  // Before a principal is asked for: messages to hooks are signed, and show no key.
  addHookDoor(app, deps, { chain, schemas });
  for (const guarded of ['/v1/*', '/metrics']) {
    app.use(guarded, authenticate(deps, chain));
    app.use(guarded, refuseBlocked(deps, chain));
    app.use(guarded, idempotent(deps, chain));
    app.use(guarded, resolveTiers(deps, chain));
    app.use(guarded, controlCore(deps, chain));
  }
  app.use('*', keepOutOfSearch());
  app.onError(handleError(deps));

  addSystemRoutes(app, deps);
  addEventIngestRoute(app, deps, { chain, schemas });
  // Before the routes of one event, which would take `stats` for an id.
  addEventStatsRoute(app, deps);
  addEventRoutes(app, deps);
  addEventSchemaRoutes(app, deps, schemas);
  addEventTypeRoute(app, deps);
  addRetentionRoutes(app, deps);
  addMetricsRoute(app, deps, chain);
  addStreamRoute(app, deps, chain);
  addThreadRoutes(app, deps);
  addTaskCreateRoute(app, deps);
  addTaskRoutes(app, deps);
  addTaskActionRoutes(app, deps);
  addApprovalRoutes(app, deps);
  addBulkDecisionRoute(app, deps);
  addDecisionRoutes(app, deps);
  addApprovalChangeRoutes(app, deps);
  addPolicyBackTestRoute(app, deps);
  addPolicyRoutes(app, deps);
  addKillSwitchRoutes(app, deps);
  addHaloRoutes(app, deps);
  // Before the routes of one record, which would take `export` for an entity.
  addMemoryTransferRoutes(app, deps);
  addMemoryRoutes(app, deps);
  addRepairRoutes(app, deps);
  addAutonomyRoutes(app, deps);
  addProbeRoutes(app, deps);
  addAgentRoutes(app, deps);
  addSquadRoutes(app, deps);
  addChannelRoutes(app, deps);
  addWormholeTrialRoutes(app, deps);
  addWormholeRoutes(app, deps);
  addWormholeChangeRoutes(app, deps);
  addNotificationRoutes(app, deps);
  addDeadLetterRoutes(app, deps);
  addDeadLetterActionRoutes(app, deps);
  addRedriveRoutes(app, deps);
  addEnvelopeRoute(app, deps);
  addSubscriptionRoutes(app, deps);
  addSubscriptionSecretRoute(app, deps);
  addSubscriptionTestRoute(app, deps);
  addSubscriptionActionRoutes(app, deps);
  addReplayRoutes(app, deps);
  addReplayListRoutes(app, deps);
  addShadowRoute(app, deps);
  addAccessRoutes(app, deps);
  addAuditRoutes(app, deps);
  addHookRoutes(app, deps);
  addBridgeRoutes(app, deps);
  addBroadcastRoute(app, deps);
  addControlRoutes(app, deps, chain);
  addSecurityRoutes(app, deps, chain);
  addAuditExportRoute(app, deps);

  const document = describeApi(app);
  const page = renderDocs(document);
  app.get('/openapi.json', (c) => c.json(document));
  app.get('/docs', (c) => c.html(page));
  app.notFound(handleNotFound(deps, () => document));
  return app;
}
