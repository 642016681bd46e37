-- Rights of the application role on the tables of 0005, and what drizzle has no words for. Rights are named table by
-- table: a grant on all of them would reach the partitions of the log (0002).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- engine
    GRANT SELECT, INSERT, UPDATE, DELETE ON subscription_lanes, subscription_consumers, deliveries TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON dead_letters TO dreamnet_app;
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
