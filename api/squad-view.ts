import { z } from '@hono/zod-openapi';
import type { SquadMember, SquadRow } from '../db/squads.ts';
import { agentStates } from '../domain/agent.ts';
import { taskRoles } from '../domain/task.ts';
import { instant } from './schemas.ts';

const share = z.number().nullable();

export const squadSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    leader: z.string().nullable(),
    owner: z.string(),
    version: z.number(),
    members: z.array(
      z.object({
        agentId: z.string(),
        name: z.string(),
        role: z.enum(taskRoles),
        state: z.enum(agentStates),
        running: z.number(),
        maxConcurrency: z.number(),
        successShare: share,
      }),
    ),
    load: z.object({ running: z.number(), places: z.number(), openTasks: z.number() }),
    /** Of the attempts that its members ended in the last seven days; null where there were none. */
    successShare: share,
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Squad');

export function squadView(
  row: SquadRow,
  all: SquadMember[],
  openTasks: Map<string, number>,
): z.infer<typeof squadSchema> {
  const members = all.filter(({ squad }) => squad === row.name);
  const sum = (of: (member: SquadMember) => number): number =>
    members.reduce((total, member) => total + of(member), 0);
  return {
    ...row,
    members: members.map(({ squad: _squad, ended, succeeded, state, ...member }) => ({
      ...member,
      state: z.enum(agentStates).parse(state),
      successShare: shareOf(succeeded, ended),
    })),
    load: {
      running: sum(({ running }) => running),
      places: sum(({ maxConcurrency }) => maxConcurrency),
      openTasks: openTasks.get(row.name) ?? 0,
    },
    successShare: shareOf(
      sum(({ succeeded }) => succeeded),
      sum(({ ended }) => ended),
    ),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
