-- Rights of the application role on the tables of 0007, named table by table (see 0006).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- triggers
    GRANT SELECT, INSERT, UPDATE ON halo_counters TO dreamnet_app;
    -- memory: what is forgotten is deleted
    GRANT SELECT, INSERT, UPDATE, DELETE ON memory_records, memory_traits, memory_history, memory_marks TO dreamnet_app;
    GRANT USAGE, SELECT ON SEQUENCE memory_history_id_seq TO dreamnet_app;
    -- resonance: the oldest beyond the number that is kept are deleted
    GRANT SELECT, INSERT, UPDATE, DELETE ON insights, entity_links TO dreamnet_app;
    -- verdicts
    GRANT SELECT, INSERT, UPDATE ON repairs, autonomy TO dreamnet_app;
    -- squads: who leaves one is deleted from it
    GRANT SELECT, INSERT, UPDATE, DELETE ON squads, squad_members, task_paths TO dreamnet_app;
  END IF;
END $$;
--> statement-breakpoint
-- squads: whether an agent has a place for one more task, asked in the statement that begins it. The lock is held to the
-- end of that statement, so that two tasks never get one place; the lock of the kill switch always comes first.
CREATE FUNCTION agent_has_place(agent text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM kill_switch_epoch();
  PERFORM pg_advisory_xact_lock(hashtext('dreamnet.agent_place'), hashtext(agent));
  RETURN (SELECT count(*) FROM tasks WHERE agent_id = agent AND state = 'running' AND NOT outcome_unknown)
       < (SELECT max_concurrency FROM agents WHERE id = agent);
END $$;
--> statement-breakpoint
-- squads: the figures of domain/agent.ts and domain/task-path.ts
ALTER TABLE agents ADD CONSTRAINT agents_max_concurrency CHECK (max_concurrency BETWEEN 1 AND 1000);
--> statement-breakpoint
ALTER TABLE task_paths ADD CONSTRAINT task_paths_strength CHECK (strength BETWEEN 0 AND 1);
