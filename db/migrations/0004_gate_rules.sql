-- Rights of the application role on the tables of 0003, and what drizzle has no words for. Rights are named table by
-- table: a grant on all of them would reach the partitions of the log (0002).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- access
    GRANT SELECT, INSERT, UPDATE ON roles, grants, groups TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON group_members TO dreamnet_app;
    -- policies
    GRANT SELECT, INSERT, UPDATE ON policies TO dreamnet_app;
    GRANT USAGE ON SEQUENCE policy_versions TO dreamnet_app;
    -- chain: counters and idempotency keys expire, so the application deletes them
    GRANT SELECT, INSERT, UPDATE, DELETE ON limit_counters, idempotency_keys TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON tiers, clusters, threats, blocks TO dreamnet_app;
  END IF;
END $$;
--> statement-breakpoint
-- chain: the tiers of domain/tier.ts
INSERT INTO tiers (name, per_minute, events_per_minute, bytes_per_minute) VALUES
  ('seed', 10, 100, 262144),
  ('builder', 60, 1000, 4194304),
  ('operator', 200, 10000, 33554432),
  ('founder', 1000, 100000, 268435456),
  ('unmetered', NULL, NULL, NULL);
