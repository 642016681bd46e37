import { createRoute, z } from '@hono/zod-openapi';
import { auditRefusal, type ChangeOutcome } from '../../db/change.ts';
import { newId } from '../../db/ids.ts';
import { getPolicy, listPolicies, personBehind, policyHistory, type PolicyRow } from '../../db/policies.ts';
import {
  changePolicy,
  createPolicy,
  nextPolicyVersion,
  type PolicyText,
  setPolicyEnabled,
} from '../../db/policy-change.ts';
import { checkEnable } from '../../domain/policy.ts';
import { refuse, type Refusal } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { requireApprovers } from '../policy-approvers.ts';
import { builtInViews, policySchema, policyVersionSchema, policyView, versionView } from '../policy-view.ts';
import { errorCode, throwRefusal } from '../problems.ts';
import { answer, body, idParams, reason } from '../schemas.ts';
import { policyInput, policyPatch } from './policy-input.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/policies',
  tags: ['policies'],
  summary: 'Policies in the order in which they count: of several that match, the first',
  ...guard('policies:read'),
  request: { query: z.strictObject({ ...pageQuery, enabled: z.enum(['true', 'false']).optional() }) },
  responses: { 200: answer('One page of stored policies.', pageOf(policySchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/policies/{id}',
  tags: ['policies'],
  summary: 'One policy; built-in and built-in-high are what counts where no other matches',
  ...guard('policies:read'),
  request: { params: idParams },
  responses: { 200: answer('The policy.', policySchema) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/policies',
  tags: ['policies'],
  summary: 'Stores a policy; it counts once another person has enabled it',
  ...guard('policies:write'),
  request: { body: body(policyInput) },
  responses: { 201: answer('The policy, not in force yet.', policySchema) },
});

const patch = createRoute({
  method: 'patch',
  path: '/v1/policies/{id}',
  tags: ['policies'],
  summary: 'Stores a new version, which takes the policy out of force until another person enables it',
  ...guard('policies:write'),
  request: { params: idParams, body: body(policyPatch) },
  responses: { 200: answer('The new version, not in force yet.', policySchema) },
});

const version = z.number().int().min(1);

const enable = createRoute({
  method: 'post',
  path: '/v1/policies/{id}/enable',
  tags: ['policies'],
  summary: 'Brings exactly the version that was read into force; never by the person who wrote it',
  ...guard('policies:enable'),
  request: { params: idParams, body: body(z.strictObject({ version })) },
  responses: { 200: answer('The policy, in force for everything that is asked from now on.', policySchema) },
});

const disable = createRoute({
  method: 'post',
  path: '/v1/policies/{id}/disable',
  tags: ['policies'],
  summary: 'Takes a policy out of force; approvals that are open keep the rule they were opened under',
  ...guard('policies:enable'),
  request: { params: idParams, body: body(z.strictObject({ version, reason })) },
  responses: { 200: answer('The policy, out of force.', policySchema) },
});

const versions = createRoute({
  method: 'get',
  path: '/v1/policies/{id}/versions',
  tags: ['policies'],
  summary: 'Every version of a policy and who wrote, enabled and disabled it, from the audit, newest first',
  ...guard('policies:read'),
  request: { params: idParams, query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of versions.', pageOf(policyVersionSchema)) },
});

const policyPlace = z.strictObject({ place: z.number().int(), version: z.number().int() });
const chainPlace = z.strictObject({ chainNo: z.number().int().positive() });

export function addPolicyRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requirePolicy(id: string): Promise<PolicyRow> {
    return (await getPolicy(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no policy ${id}.`));
  }

  async function refuseAudited(c: ApiContext, action: string, id: string, refusal: Refusal): Promise<never> {
    const requestId = c.get('requestId');
    const audit = { actor: c.get('principal').id, action, subjectKind: 'policy', subjectId: id };
    await auditRefusal(db, `refused-api:${requestId}:${newId('ref')}`, audit, refusal);
    return throwRefusal(refusal);
  }

  const nameTaken = (name: string) => refuse('CONFLICT', `There is already a policy named ${name}.`);

  app.openapi(list, async (c) => {
    const { limit, cursor, enabled } = c.req.valid('query');
    const filter = { enabled: enabled === undefined ? undefined : enabled === 'true' };
    const rows = await listPolicies(db, filter, decodeCursor(cursor, policyPlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ place: row.place, version: row.version }));
    return c.json({ items: page.rows.map(policyView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const builtIn = builtInViews().find((policy) => policy.id === id);
    return c.json(builtIn ?? policyView(await requirePolicy(id)), 200);
  });

  app.openapi(create, async (c) => {
    const text = c.req.valid('json');
    await requireApprovers(db, text);
    const id = newId('pol');
    const outcome = await createPolicy(db, {
      ...{ id, text, version: await nextPolicyVersion(db) },
      ...{ actor: c.get('principal').id, opKey: `policy.create:${id}` },
    });
    if (outcome.status === 'unchanged') throwRefusal(nameTaken(text.name));
    return c.json(policyView(await requirePolicy(id)), 201);
  });

  app.openapi(patch, async (c) => {
    const { version: expectedVersion, name, place, match, rule } = c.req.valid('json');
    const policy = await requirePolicy(c.req.valid('param').id);
    const { id, enabled: wasEnabled } = policy;
    const text: PolicyText = {
      name: name ?? policy.name,
      place: place ?? policy.place,
      match: match ?? policy.match,
      rule: rule ?? policy.rule,
    };
    await requireApprovers(db, text);
    let outcome: ChangeOutcome<{ id: string }>;
    try {
      outcome = await changePolicy(db, {
        ...{ id, expectedVersion, text, wasEnabled, version: await nextPolicyVersion(db) },
        ...{ actor: c.get('principal').id, opKey: `policy.change:${id}:${newId('op')}` },
      });
    } catch (error) {
      if (errorCode(error) !== '23505') throw error;
      throwRefusal(nameTaken(text.name));
    }
    const now = await requirePolicy(id);
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('STALE', `${now.name} is at version ${now.version}; read it again, then change it.`, {
          current: now.version,
          yours: expectedVersion,
        }),
      );
    return c.json(policyView(now), 200);
  });

  app.openapi(enable, async (c) => {
    const { version: read } = c.req.valid('json');
    const principal = c.get('principal');
    const policy = await requirePolicy(c.req.valid('param').id);
    const { id } = policy;
    const review = { ...policy, editedByPerson: await personBehind(db, policy.editedBy) };
    const refusal = checkEnable(review, principal, read);
    if (refusal !== null) return refuseAudited(c, 'policy.enable', id, refusal);
    await requireApprovers(db, policy);
    const outcome = await setPolicyEnabled(db, {
      ...{ id, version: read, enabled: true, text: policy, person: principal.person, reason: null },
      ...{ actor: principal.id, opKey: `policy.enable:${id}:${newId('op')}` },
    });
    const now = await requirePolicy(id);
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `${now.name} changed in this moment; read it again, then enable it.`));
    return c.json(policyView(now), 200);
  });

  app.openapi(disable, async (c) => {
    const said = c.req.valid('json');
    const principal = c.get('principal');
    const policy = await requirePolicy(c.req.valid('param').id);
    const { id } = policy;
    const outcome = await setPolicyEnabled(db, {
      ...{ id, version: said.version, enabled: false, text: policy, reason: said.reason },
      ...{ person: principal.person, actor: principal.id, opKey: `policy.disable:${id}:${newId('op')}` },
    });
    const now = await requirePolicy(id);
    if (outcome.status === 'unchanged')
      throwRefusal(
        now.version === said.version
          ? refuse('CONFLICT', `${now.name} is not enabled; nothing was changed.`)
          : refuse('STALE', `${now.name} is at version ${now.version}; read it again, then disable it.`, {
              current: now.version,
              yours: said.version,
            }),
      );
    return c.json(policyView(now), 200);
  });

  app.openapi(versions, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const { id } = await requirePolicy(c.req.valid('param').id);
    const before = decodeCursor(cursor, chainPlace)?.chainNo ?? null;
    const found = await policyHistory(db, id, before, limit + 1);
    const { rows, nextCursor } = cutPage(found, limit, ({ chainNo }) => ({ chainNo }));
    return c.json({ items: rows.map(versionView), nextCursor }, 200);
  });
}
