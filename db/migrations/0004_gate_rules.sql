-- Rights of the application role on the tables of 0003, and what drizzle has no words for. Rights are named table by
-- table: a grant on all of them would reach the partitions of the log (0002).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'dreamnet_app') THEN
    -- access
    GRANT SELECT, INSERT, UPDATE ON grants, groups TO dreamnet_app;
    -- A role nobody has and a membership may go; what they were stands in the audit.
    GRANT SELECT, INSERT, UPDATE, DELETE ON roles, group_members TO dreamnet_app;
    -- policies
    GRANT SELECT, INSERT, UPDATE ON policies TO dreamnet_app;
    GRANT USAGE ON SEQUENCE policy_versions TO dreamnet_app;
  END IF;
END $$;
