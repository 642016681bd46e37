import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { groupMembers, groups } from './schema/index.ts';

export type GroupRow = typeof groups.$inferSelect;
export type MemberRow = typeof groupMembers.$inferSelect;
type Op = { actor: string; opKey: string };

export async function getGroup(db: Db, name: string): Promise<GroupRow | null> {
  const [row] = await db.select().from(groups).where(eq(groups.name, name));
  return row ?? null;
}

/** One page of groups, by name. */
export async function listGroups(db: Db, after: string, limit: number): Promise<GroupRow[]> {
  return db.select().from(groups).where(gt(groups.name, after)).orderBy(asc(groups.name)).limit(limit);
}

export async function listMembers(db: Db, names: string[]): Promise<MemberRow[]> {
  if (names.length === 0) return [];
  return db
    .select()
    .from(groupMembers)
    .where(inArray(groupMembers.groupName, names))
    .orderBy(asc(groupMembers.groupName), asc(groupMembers.principalId))
    .limit(10_000);
}

/** Creates a group; unchanged when its name is taken. */
export async function createGroup(
  db: Db,
  input: { name: string; description: string } & Op,
): Promise<ChangeOutcome<{ name: string }>> {
  const { name, description } = input;
  return change(db, {
    opKey: input.opKey,
    write: db.insert(groups).values({ name, description }).onConflictDoNothing().returning().getSQL(),
    events: [groupEvent(name, 'created', {})],
    audit: {
      actor: input.actor,
      action: 'group.create',
      subjectKind: 'group',
      subjectId: name,
      detail: { description },
    },
    result: sql`jsonb_build_object('name', changed.name)`,
  });
}

type Membership = { group: string; principalId: string } & Op;

/** Adds a member; unchanged when it is one, so that who added it and when stays what it was. */
export async function addMember(db: Db, input: Membership): Promise<ChangeOutcome<{ group: string }>> {
  const { group, principalId, actor } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(groupMembers)
      .values({ groupName: group, principalId, addedBy: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    ...membershipRecord(input, 'added'),
    result: sql`jsonb_build_object('group', changed.group_name)`,
  });
}

/** Takes a member out; unchanged when it is none. */
export async function removeMember(db: Db, input: Membership): Promise<ChangeOutcome<{ group: string }>> {
  const { group, principalId } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .delete(groupMembers)
      .where(and(eq(groupMembers.groupName, group), eq(groupMembers.principalId, principalId)))
      .returning()
      .getSQL(),
    ...membershipRecord(input, 'removed'),
    result: sql`jsonb_build_object('group', changed.group_name)`,
  });
}

function membershipRecord({ group, principalId, actor }: Membership, what: 'added' | 'removed') {
  return {
    events: [groupEvent(group, what, { principalId })],
    audit: {
      actor,
      action: what === 'added' ? 'group.add' : 'group.remove',
      subjectKind: 'group',
      subjectId: group,
      detail: { principalId },
    },
  };
}

function groupEvent(group: string, what: string, payload: Record<string, string>): NewEvent {
  return {
    type: eventTypes.groupChanged,
    source: { type: 'system', id: 'access' },
    payload: { group, change: what, ...payload },
  };
}
