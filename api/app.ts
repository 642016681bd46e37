import { OpenAPIHono } from '@hono/zod-openapi';
import { refuse } from '../domain/refusal.ts';
import { authenticate } from './auth.ts';
import type { Api, ApiDeps, ApiEnv } from './context.ts';
import { renderDocs } from './docs.ts';
import { describeApi } from './document.ts';
import { envelope, handleError, handleNotFound } from './http.ts';
import { issuesOf } from './issues.ts';
import { throwRefusal } from './problems.ts';
import { addAccessRoutes } from './routes/access.ts';
import { addAgentRoutes } from './routes/agents.ts';
import { addAuditRoutes } from './routes/audit.ts';
import { addApprovalRoutes } from './routes/approvals.ts';
import { addBulkDecisionRoute } from './routes/bulk-decisions.ts';
import { addDecisionRoutes } from './routes/decisions.ts';
import { addEventRoutes } from './routes/events.ts';
import { addHaloRoutes } from './routes/halo.ts';
import { addPolicyBackTestRoute } from './routes/policy-backtest.ts';
import { addPolicyRoutes } from './routes/policies.ts';
import { addProbeRoutes } from './routes/probes.ts';
import { addSystemRoutes } from './routes/system.ts';
import { addTaskActionRoutes } from './routes/task-actions.ts';
import { addTaskCreateRoute } from './routes/task-create.ts';
import { addTaskRoutes } from './routes/tasks.ts';

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
  app.use('*', envelope(deps));
  app.use('/v1/*', authenticate(deps));
  app.onError(handleError(deps));

  addSystemRoutes(app, deps);
  addEventRoutes(app, deps);
  addTaskCreateRoute(app, deps);
  addTaskRoutes(app, deps);
  addTaskActionRoutes(app, deps);
  addApprovalRoutes(app, deps);
  addBulkDecisionRoute(app, deps);
  addDecisionRoutes(app, deps);
  addPolicyBackTestRoute(app, deps);
  addPolicyRoutes(app, deps);
  addHaloRoutes(app, deps);
  addProbeRoutes(app, deps);
  addAgentRoutes(app, deps);
  addAccessRoutes(app, deps);
  addAuditRoutes(app, deps);

  const document = describeApi(app);
  const page = renderDocs(document);
  app.get('/openapi.json', (c) => c.json(document));
  app.get('/docs', (c) => c.html(page));
  app.notFound(handleNotFound(deps, () => document));
  return app;
}
