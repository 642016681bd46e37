import { doublePrecision, index, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { taskRoles } from '../../domain/task.ts';
import { principals } from './access.ts';
import { instant } from './columns.ts';
import { agents } from './watch.ts';

export const squads = pgTable('squads', {
  name: text('name').primaryKey(),
  description: text('description').notNull(),
  /** The agent that leads it. */
  leader: text('leader').references(() => agents.id),
  owner: text('owner')
    .notNull()
    .references(() => principals.id),
  version: integer('version').notNull().default(1),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export const squadMembers = pgTable(
  'squad_members',
  {
    squad: text('squad')
      .notNull()
      .references(() => squads.name, { onDelete: 'cascade' }),
    agentId: text('agent_id')
      .notNull()
      .references(() => agents.id),
    role: text('role', { enum: taskRoles }).notNull(),
    addedAt: instant('added_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.squad, table.agentId] }),
    index('squads_of_agent').on(table.agentId),
  ],
);

/** Pheromone trails: how well an agent did a type of work, 0 to 1, weaker each day (LEDGER 1.2). */
export const taskPaths = pgTable(
  'task_paths',
  {
    agentId: text('agent_id')
      .notNull()
      .references(() => agents.id),
    taskType: text('task_type').notNull(),
    strength: doublePrecision('strength').notNull(),
    successes: integer('successes').notNull().default(0),
    failures: integer('failures').notNull().default(0),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.agentId, table.taskType] })],
);
