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
    -- notify
    GRANT SELECT, INSERT, UPDATE ON channels TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO dreamnet_app;
  END IF;
END $$;
