-- Rights of the application role on the tables of 0005, and what drizzle has no words for. Rights are named table by
-- table: a grant on all of them would reach the partitions of the log (0002).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- engine
    GRANT SELECT, INSERT, UPDATE, DELETE ON subscription_lanes, subscription_consumers, deliveries TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON dead_letters TO dreamnet_app;
    -- ingest
    GRANT SELECT, INSERT, UPDATE ON event_schemas TO dreamnet_app;
    GRANT SELECT, UPDATE ON retention_rules TO dreamnet_app;
    -- wormholes
    GRANT SELECT, INSERT, UPDATE ON wormholes TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON wormhole_results, wormhole_windows TO dreamnet_app;
    -- dead-letters
    GRANT SELECT, INSERT, UPDATE, DELETE ON redrives, redrive_items TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON dead_letter_alerts TO dreamnet_app;
    -- subscriptions
    GRANT SELECT, INSERT, UPDATE ON subscription_starts TO dreamnet_app;
    -- replay: those that ended long ago are deleted
    GRANT SELECT, INSERT, UPDATE, DELETE ON replays TO dreamnet_app;
    -- edges: what is removed is deleted; its events, its subscription and its audit entries stay
    GRANT SELECT, INSERT, UPDATE, DELETE ON hooks, bridge_clusters TO dreamnet_app;
  END IF;
END $$;
--> statement-breakpoint
-- ingest: everything is kept for 90 days until somebody says otherwise.
INSERT INTO retention_rules (one, rules, changed_by) VALUES (true, '[{"types": "*", "keepDays": 90}]', 'migration');
--> statement-breakpoint
ALTER TABLE retention_rules ADD CONSTRAINT retention_rules_one_row CHECK (one);
--> statement-breakpoint
-- A day at the least, whoever writes the rules: the functions below remove what they say.
ALTER TABLE retention_rules ADD CONSTRAINT retention_rules_are_sound CHECK (
  jsonb_typeof(rules) = 'array'
  AND jsonb_path_exists(rules, '$[*] ? (@.types == "*")')
  AND NOT jsonb_path_exists(rules, '$[*] ? (!(@.keepDays.type() == "number" && @.keepDays >= 1 && @.types.type() == "string"))')
);
--> statement-breakpoint
CREATE FUNCTION retention_keep_days(rules jsonb, event_type text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
  -- A whole type before a beginning, and the longer beginning before the shorter.
  SELECT (rule ->> 'keepDays')::integer FROM jsonb_array_elements(rules) AS rule
  WHERE rule ->> 'types' = event_type
     OR (right(rule ->> 'types', 1) = '*' AND starts_with(event_type, left(rule ->> 'types', -1)))
  ORDER BY rule ->> 'types' = event_type DESC, length(rule ->> 'types') DESC
  LIMIT 1
$$;
--> statement-breakpoint
CREATE FUNCTION retention_longest(rules jsonb) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT max((rule ->> 'keepDays')::integer) FROM jsonb_array_elements(rules) AS rule $$;
--> statement-breakpoint
CREATE FUNCTION event_partitions() RETURNS TABLE (name text, starts timestamptz, ends timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT c.relname::text, m.month::timestamp AT TIME ZONE 'UTC', (m.month + interval '1 month') AT TIME ZONE 'UTC'
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid,
       LATERAL (SELECT to_date(right(c.relname, 7), 'YYYY_MM') AS month) m
  WHERE i.inhparent = 'public.events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
$$;
--> statement-breakpoint
CREATE FUNCTION event_types_in_log() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  -- From one type to the next along the index: the events themselves are not read.
  WITH RECURSIVE kinds AS (
    (SELECT type FROM public.events ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT e.type FROM public.events e WHERE e.type > k.type ORDER BY e.type LIMIT 1)
    FROM kinds k WHERE k.type IS NOT NULL
  )
  SELECT type FROM kinds WHERE type IS NOT NULL
$$;
--> statement-breakpoint
CREATE FUNCTION events_needed_between(starts timestamptz, ends timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
      SELECT FROM public.events e,
        (SELECT l.cursor_tx, l.cursor_seq FROM public.subscription_lanes l
         JOIN public.subscriptions s ON s.key = l.subscription
         WHERE s.enabled ORDER BY l.cursor_tx, l.cursor_seq LIMIT 1) AS furthest
      WHERE e.recorded_at >= starts AND e.recorded_at < ends
        AND (e.tx, e.seq) > (furthest.cursor_tx, furthest.cursor_seq))
    OR EXISTS (
      SELECT FROM public.deliveries d
      WHERE d.state IN ('pending', 'processing') AND d.event_recorded_at >= starts AND d.event_recorded_at < ends)
    OR EXISTS (
      SELECT FROM public.dead_letters d
      WHERE d.state = 'open' AND (d.event ->> 'recordedAt')::timestamptz >= starts
        AND (d.event ->> 'recordedAt')::timestamptz < ends)
$$;
--> statement-breakpoint
CREATE FUNCTION detach_event_partition() RETURNS text
-- Detaching locks the whole log for a moment. It waits for that lock only so long, as every writer waits behind it.
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
  oldest date := now() - make_interval(days => (SELECT retention_longest(rules) FROM retention_rules));
  part record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('dreamnet.event_partitions'));
  FOR part IN SELECT p.name, p.starts, p.ends FROM event_partitions() p WHERE p.ends <= oldest ORDER BY p.starts LOOP
    CONTINUE WHEN events_needed_between(part.starts, part.ends);
    EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', part.name);
    RETURN part.name;
  END LOOP;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE FUNCTION drop_detached_partition() RETURNS TABLE (name text, events bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  part text;
  held bigint;
BEGIN
  SELECT c.relname INTO part FROM pg_class c
  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
    AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
  ORDER BY c.relname LIMIT 1;
  IF part IS NULL THEN RETURN; END IF;
  EXECUTE format('SELECT count(*) FROM public.%I', part) INTO held;
  EXECUTE format('DROP TABLE public.%I', part);
  RETURN QUERY SELECT part, held;
END $$;
--> statement-breakpoint
CREATE FUNCTION delete_expired_events(batch integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  said jsonb := (SELECT rules FROM retention_rules);
  longest integer := retention_longest(said);
  most integer := least(greatest(batch, 1), 5000);
  kind text;
  keep integer;
  furthest record;
  gone integer;
  total integer := 0;
BEGIN
  SELECT l.cursor_tx, l.cursor_seq INTO furthest
  FROM subscription_lanes l JOIN subscriptions s ON s.key = l.subscription
  WHERE s.enabled ORDER BY l.cursor_tx, l.cursor_seq LIMIT 1;
  FOR kind IN SELECT event_types_in_log() LOOP
    keep := retention_keep_days(said, kind);
    WITH expired AS (
      SELECT e.recorded_at, e.seq FROM events e
      WHERE e.type = kind AND e.recorded_at < now() - make_interval(days => keep)
        -- Those of the longest rule go with their month; what lies in no month goes here.
        AND (keep < longest OR e.tableoid = 'events_default'::regclass)
        AND (furthest.cursor_tx IS NULL OR (e.tx, e.seq) <= (furthest.cursor_tx, furthest.cursor_seq))
        AND NOT EXISTS (SELECT FROM deliveries d WHERE d.event_id = e.id AND d.state IN ('pending', 'processing'))
        AND NOT EXISTS (SELECT FROM dead_letters d WHERE d.event_id = e.id AND d.state = 'open')
      ORDER BY e.recorded_at LIMIT most - total
    )
    DELETE FROM events e USING expired x WHERE e.recorded_at = x.recorded_at AND e.seq = x.seq;
    GET DIAGNOSTICS gone = ROW_COUNT;
    total := total + gone;
    EXIT WHEN total >= most;
  END LOOP;
  RETURN total;
END $$;
--> statement-breakpoint
CREATE FUNCTION event_keys_end() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  -- An id is remembered as long as the longest rule says, and as long as its event may still be there.
  SELECT least(
    now() - make_interval(days => (SELECT retention_longest(rules) FROM public.retention_rules)),
    (SELECT min(p.starts) FROM public.event_partitions() p),
    (SELECT min(e.recorded_at) FROM public.events e WHERE e.tableoid = 'public.events_default'::regclass))
$$;
--> statement-breakpoint
CREATE FUNCTION delete_expired_event_keys(batch integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  gone integer;
BEGIN
  DELETE FROM event_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM event_keys WHERE recorded_at < event_keys_end() LIMIT least(greatest(batch, 1), 5000)));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
--> statement-breakpoint
DO $$
BEGIN
  REVOKE ALL ON FUNCTION detach_event_partition(), drop_detached_partition(), delete_expired_events(integer),
    delete_expired_event_keys(integer) FROM PUBLIC;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    GRANT EXECUTE ON FUNCTION detach_event_partition(), drop_detached_partition(), delete_expired_events(integer),
      delete_expired_event_keys(integer) TO dreamnet_app;
  END IF;
END $$;

--> statement-breakpoint
-- engine: consumers sleep until they are told. The events themselves announce an empty text (0001); what concerns one
-- subscription announces its key on the same channel.
CREATE FUNCTION announce_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('dreamnet_events', key) FROM (SELECT DISTINCT subscription AS key FROM fresh) AS told;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER deliveries_announce AFTER INSERT ON deliveries
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION announce_deliveries();
--> statement-breakpoint
CREATE FUNCTION announce_requeued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('dreamnet_events', key) FROM (
    SELECT DISTINCT fresh.subscription AS key FROM fresh JOIN old_rows ON old_rows.id = fresh.id
    WHERE fresh.state = 'pending' AND old_rows.state IN ('completed', 'failed')
  ) AS told;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER deliveries_announce_requeued AFTER UPDATE ON deliveries
REFERENCING NEW TABLE AS fresh OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION announce_requeued();
--> statement-breakpoint
CREATE FUNCTION announce_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('dreamnet_events', NEW.key);
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER subscriptions_announce AFTER UPDATE ON subscriptions
FOR EACH ROW EXECUTE FUNCTION announce_subscription();
--> statement-breakpoint
CREATE FUNCTION announce_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('dreamnet_events', NEW.subscription);
  RETURN NULL;
END $$;
--> statement-breakpoint
-- A consumer that moves its cursor keeps its lease; whoever takes it or rewinds it does not.
CREATE TRIGGER lanes_announce AFTER UPDATE ON subscription_lanes
FOR EACH ROW WHEN (OLD.lease_epoch IS DISTINCT FROM NEW.lease_epoch) EXECUTE FUNCTION announce_lane();
