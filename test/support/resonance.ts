import { beginCycle } from '../../db/halo.ts';
import { newId } from '../../db/ids.ts';
import type { TestDatabase } from './database.ts';

/** A cycle that has begun. */
export async function aLearningCycle({ db }: TestDatabase): Promise<string> {
  const cycleId = newId('cyc');
  const workflowId = `halo-cycle/${cycleId}`;
  await beginCycle(db, { cycleId, mode: 'full', trigger: { manual: 1 }, workflowId, runId: 'run-1' });
  return cycleId;
}

/** What is remembered of an entity from now on, whatever it was. */
export async function remember(
  { root }: TestDatabase,
  entity: string,
  traits: Record<string, number>,
): Promise<void> {
  const kind = entity.slice(0, entity.indexOf(':'));
  await root`
    insert into memory_records (entity, kind) values (${entity}, ${kind}) on conflict do nothing`;
  await root`
    insert into memory_traits (entity, trait, value)
    select ${entity}, key, value::float8 from jsonb_each_text(${JSON.stringify(traits)}::text::jsonb)
    on conflict (entity, trait) do update set value = excluded.value`;
}

/** Failed probes of these endpoints, so many minutes ago each, all by one clock. */
export async function failedProbes(
  { root }: TestDatabase,
  probeIds: string[],
  minutesAgo: number[],
): Promise<void> {
  await root`
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
    select 'evt_' || gen_random_uuid(), 'api.endpoint.failed', 'api', 'api', probe_id, 'critical', 'normal',
           '{}'::jsonb, '{}'::jsonb, at, at
    from (select now() - make_interval(secs => 60 * minutes::float8) as at
          from jsonb_array_elements_text(${JSON.stringify(minutesAgo)}::text::jsonb) as minutes) as times,
         jsonb_array_elements_text(${JSON.stringify(probeIds)}::text::jsonb) as probe_id`;
}
