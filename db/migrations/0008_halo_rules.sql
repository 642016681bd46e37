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
