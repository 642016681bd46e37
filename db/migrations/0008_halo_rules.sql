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
-- detect: endpoints that depend on each other in a circle have no root. Two changes at once could each be right and make
-- one together, so the second waits here and looks at what the first has made of it.
CREATE FUNCTION refuse_probe_circle() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('probes.depends_on'));
  IF EXISTS (
    WITH RECURSIVE reached(id) AS (
      SELECT jsonb_array_elements_text(NEW.depends_on)
      UNION
      SELECT jsonb_array_elements_text(p.depends_on) FROM public.probes p JOIN reached r ON r.id = p.id
      WHERE p.id <> NEW.id
    )
    SELECT FROM reached WHERE id = NEW.id
  ) THEN
    RAISE EXCEPTION 'probe % would depend on itself', NEW.id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'probes_depend_in_no_circle';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER probes_depend_in_no_circle BEFORE UPDATE OF depends_on ON probes
  FOR EACH ROW WHEN (NEW.depends_on IS DISTINCT FROM OLD.depends_on) EXECUTE FUNCTION refuse_probe_circle();
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
--> statement-breakpoint
-- memory: moves of a trait one after the other, each clamped to 0..1, folded into one step {add, low, high}: whatever
-- batches they come in, the value is the same.
CREATE FUNCTION memory_step(step double precision[], delta double precision) RETURNS double precision[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT ARRAY[step[1] + delta, least(1, greatest(0, step[2] + delta)), least(1, greatest(0, step[3] + delta))]
$$;
--> statement-breakpoint
CREATE AGGREGATE memory_fold(double precision) (sfunc = memory_step, stype = double precision[], initcond = '{0,0,1}');
--> statement-breakpoint
CREATE FUNCTION memory_apply(value double precision, step double precision[]) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT least(step[3], greatest(step[2], value + step[1]))
$$;
--> statement-breakpoint
-- memory: a value of some moment as it is now. Twice over parts of a time is the same as once over the whole.
CREATE FUNCTION memory_aged(value double precision, since timestamptz, kept_per_day double precision) RETURNS double precision
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
  SELECT 0.5 + (value - 0.5) * power(kept_per_day, greatest(0, extract(epoch FROM now() - since)::double precision) / 86400)
$$;
--> statement-breakpoint
ALTER TABLE memory_traits ADD CONSTRAINT memory_traits_within CHECK (value >= 0 AND value <= 1);
