-- Rights of the application role on the tables of 0005, and what drizzle has no words for. Rights are named table by
-- table: a grant on all of them would reach the partitions of the log (0002).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- engine
    GRANT SELECT, INSERT, UPDATE, DELETE ON subscription_lanes, deliveries TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON dead_letters TO dreamnet_app;
    -- edges: what is removed is deleted; its events, its subscription and its audit entries stay
    GRANT SELECT, INSERT, UPDATE, DELETE ON hooks, bridge_clusters TO dreamnet_app;
  END IF;
END $$;
