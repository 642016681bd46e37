-- What drizzle has no words for: event partitions, the audit chain, the wake-up of consumers, and the application role.

CREATE TABLE events_default PARTITION OF events DEFAULT;
--> statement-breakpoint
CREATE FUNCTION ensure_event_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  first_day date;
  partition_name text;
  made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('dreamnet.event_partitions'));
  FOR month_offset IN 0..least(greatest(months_ahead, 0), 24) LOOP
    first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => month_offset))::date;
    partition_name := 'events_' || to_char(first_day, 'YYYY_MM');
    IF to_regclass('public.' || partition_name) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.events FOR VALUES FROM (%L) TO (%L)',
        partition_name,
        first_day::text || ' 00:00:00+00',
        ((first_day + interval '1 month')::date)::text || ' 00:00:00+00'
      );
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;
--> statement-breakpoint
SELECT ensure_event_partitions(3);
--> statement-breakpoint
CREATE FUNCTION announce_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- One wake-up per statement: one per row costs 18 to 45 % of the commits (DESIGN 4).
  PERFORM pg_notify('dreamnet_events', '');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER events_announce AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION announce_events();
--> statement-breakpoint
INSERT INTO audit_head (one, chain_no, hash) VALUES (true, 0, repeat('0', 64));
--> statement-breakpoint
ALTER TABLE audit_head ADD CONSTRAINT audit_head_one_row CHECK (one);
--> statement-breakpoint
CREATE FUNCTION chain_audit_entry() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  head audit_head;
BEGIN
  -- The row lock serialises writers until commit, so numbers are gapless and a rollback leaves no hole.
  SELECT * INTO head FROM audit_head FOR UPDATE;
  NEW.chain_no := head.chain_no + 1;
  NEW.at := clock_timestamp();
  NEW.prev_hash := head.hash;
  NEW.hash := encode(sha256(convert_to(
    NEW.prev_hash || E'\n' || NEW.chain_no || E'\n'
      || to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\n'
      || NEW.body || E'\n' || NEW.result, 'UTF8')), 'hex');
  UPDATE audit_head SET chain_no = NEW.chain_no, hash = NEW.hash;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_chain BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION chain_audit_entry();
--> statement-breakpoint
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_entries is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
--> statement-breakpoint
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
--> statement-breakpoint
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    BEGIN
      CREATE ROLE dreamnet_app NOLOGIN;
    EXCEPTION
      WHEN insufficient_privilege THEN
        RAISE WARNING 'role dreamnet_app is missing and cannot be created: the application runs as the owner';
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    GRANT USAGE ON SCHEMA public, drizzle TO dreamnet_app;
    GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO dreamnet_app;
    REVOKE UPDATE ON events, events_default, event_keys, audit_entries FROM dreamnet_app;
    REVOKE INSERT, UPDATE ON audit_head FROM dreamnet_app;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO dreamnet_app;
    REVOKE ALL ON FUNCTION ensure_event_partitions(integer) FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION ensure_event_partitions(integer) TO dreamnet_app;
  END IF;
END $$;
