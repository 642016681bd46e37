import { and, eq, sql, type SQL } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { PolicyMatch, PolicyRule } from '../domain/policy.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { policies } from './schema/index.ts';

/** A policy as people write it. */
export type PolicyText = { name: string; place: number; match: PolicyMatch; rule: PolicyRule };

type Op = { actor: string; opKey: string };
type Changed = ChangeOutcome<{ id: string }>;

/** A number that no policy ever had; one that is drawn and not used leaves a harmless gap. */
export async function nextPolicyVersion(db: Db): Promise<number> {
  const [row] = await db.execute(sql`select nextval('policy_versions')::int as version`);
  return Number(row?.version);
}

/** Match and rule in full: the audit is where earlier versions are read. */
function detailOf(version: number, text: PolicyText): JsonObject {
  const { name, place, match, rule } = text;
  return { version, name, place, match, rule };
}

function policyEvent(
  action: 'created' | 'changed' | 'enabled' | 'disabled',
  about: { id: string; name: string; version: number; by: string; wasEnabled?: boolean },
): NewEvent {
  const { id: policyId, name, version, by, wasEnabled = false } = about;
  return {
    type: eventTypes.policyChanged,
    source: { type: 'system', id: 'policies' },
    severity: wasEnabled ? 'warning' : 'info',
    payload: { policyId, name, version, action, by },
  };
}

const idOfChanged = sql`jsonb_build_object('id', changed.id)`;

/** Stores a policy that is not in force yet; unchanged when its name is taken. */
export async function createPolicy(
  db: Db,
  input: { id: string; version: number; text: PolicyText } & Op,
): Promise<Changed> {
  const { id, version, text, actor } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(policies)
      .values({ id, version, ...text, editedBy: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [policyEvent('created', { id, name: text.name, version, by: actor })],
    audit: {
      actor,
      action: 'policy.create',
      subjectKind: 'policy',
      subjectId: id,
      detail: detailOf(version, text),
    },
    result: idOfChanged,
  });
}

/** Stores a new version, which is not in force; unchanged when another change was faster. */
export async function changePolicy(
  db: Db,
  input: {
    id: string;
    expectedVersion: number;
    version: number;
    text: PolicyText;
    wasEnabled: boolean;
  } & Op,
): Promise<Changed> {
  const { id, expectedVersion, version, text, wasEnabled, actor } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(policies)
      .set({
        ...text,
        version,
        enabled: false,
        enabledBy: null,
        editedBy: actor,
        updatedAt: sql`now()`,
      })
      .where(
        and(eq(policies.id, id), eq(policies.version, expectedVersion), eq(policies.enabled, wasEnabled)),
      )
      .returning()
      .getSQL(),
    events: [policyEvent('changed', { id, name: text.name, version, by: actor, wasEnabled })],
    audit: {
      actor,
      action: 'policy.change',
      subjectKind: 'policy',
      subjectId: id,
      detail: { ...detailOf(version, text), replaces: expectedVersion, wasEnabled },
    },
    result: idOfChanged,
  });
}

/** The person behind the principal in a column. */
function personBehind(id: SQL | typeof policies.editedBy): SQL {
  return sql`coalesce((select p.owner from principals p where p.id = ${id}), ${id})`;
}

/** Switches a version on or off; unchanged when it is not the version that was read, or already so. */
export async function setPolicyEnabled(
  db: Db,
  input: {
    id: string;
    version: number;
    enabled: boolean;
    text: PolicyText;
    person: string;
    reason: string | null;
  } & Op,
): Promise<Changed> {
  const { id, version, enabled, text, person, reason, actor } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(policies)
      .set({ enabled, enabledBy: enabled ? actor : null, updatedAt: sql`now()` })
      .where(
        and(
          eq(policies.id, id),
          eq(policies.version, version),
          eq(policies.enabled, !enabled),
          enabled ? sql`${personBehind(policies.editedBy)} <> ${person}` : undefined,
        ),
      )
      .returning()
      .getSQL(),
    events: [
      policyEvent(enabled ? 'enabled' : 'disabled', {
        ...{ id, version, name: text.name, by: actor },
        wasEnabled: !enabled,
      }),
    ],
    audit: {
      actor,
      action: enabled ? 'policy.enable' : 'policy.disable',
      subjectKind: 'policy',
      subjectId: id,
      detail: { ...detailOf(version, text), reason },
    },
    result: idOfChanged,
  });
}
