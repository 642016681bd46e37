import type { BuiltInRole } from '../../domain/access.ts';

const everybody: BuiltInRole[] = ['admin', 'operator', 'viewer', 'agent', 'break-glass'];
const readers: BuiltInRole[] = ['admin', 'operator', 'viewer', 'break-glass'];
const workers: BuiltInRole[] = ['admin', 'operator'];

/** Who may call what, beside the document and written by hand: an operation that is missing here fails the build. */
export const permissionTable: Record<string, BuiltInRole[] | 'public'> = {
  'GET /healthz': 'public',
  'GET /readyz': 'public',
  'GET /v1/status': everybody,
  'GET /v1/me': everybody,

  'POST /v1/events': ['admin', 'operator', 'agent'],
  'GET /v1/events': readers,
  'GET /v1/events/{id}': readers,

  'POST /v1/tasks': ['admin', 'operator', 'agent'],
  'GET /v1/tasks': everybody,
  'GET /v1/tasks/{id}': everybody,
  'GET /v1/tasks/{id}/logs': everybody,
  'POST /v1/tasks/{id}/dispatch': workers,
  'POST /v1/tasks/{id}/cancel': workers,
  'POST /v1/tasks/{id}/retry': workers,
  'POST /v1/tasks/{id}/progress': ['agent'],

  'GET /v1/approvals': readers,
  'GET /v1/approvals/summary': readers,
  'GET /v1/approvals/{id}': readers,
  'POST /v1/approvals/bulk-decision': workers,
  'POST /v1/approvals/{id}/decision': workers,
  'POST /v1/approvals/{id}/tickets': workers,

  'GET /v1/policies': readers,
  'POST /v1/policies': ['admin'],
  'POST /v1/policies/back-test': readers,
  'GET /v1/policies/{id}': readers,
  'PATCH /v1/policies/{id}': ['admin'],
  'GET /v1/policies/{id}/versions': readers,
  'POST /v1/policies/{id}/enable': workers,
  'POST /v1/policies/{id}/disable': workers,

  'POST /v1/halo/cycles': workers,
  'GET /v1/halo/cycles': readers,
  'GET /v1/halo/cycles/{id}': readers,
  'GET /v1/halo': readers,
  'POST /v1/halo/pause': workers,
  'POST /v1/halo/resume': workers,

  'POST /v1/probes': workers,
  'GET /v1/probes': readers,
  'GET /v1/probes/{id}': readers,
  'POST /v1/probes/{id}/run': workers,
  'POST /v1/probes/{id}/enable': workers,
  'POST /v1/probes/{id}/disable': workers,

  'POST /v1/agents': ['admin'],
  'GET /v1/agents': readers,
  'GET /v1/agents/{id}': readers,
  'PATCH /v1/agents/{id}': ['admin'],
  'POST /v1/agents/{id}/beat': ['agent'],
  'POST /v1/agents/{id}/enable': ['admin'],
  'POST /v1/agents/{id}/disable': ['admin'],

  'GET /v1/principals': ['admin'],
  'POST /v1/principals': ['admin'],
  'GET /v1/audit': readers,
  'GET /v1/keys': ['admin'],
  'POST /v1/keys': ['admin'],
  'POST /v1/keys/{id}/revoke': ['admin'],
};
