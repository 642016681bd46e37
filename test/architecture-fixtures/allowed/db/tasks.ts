import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { pgTable } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import { task } from '../domain/task.ts';
export const used = [createHash, sql, pgTable, postgres, task];
