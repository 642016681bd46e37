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
    -- receipts
    GRANT SELECT, INSERT ON audit_anchors TO dreamnet_app;
  END IF;
END $$;
--> statement-breakpoint
-- receipts: a signed head is as final as the entries it covers, for the owner too.
CREATE FUNCTION refuse_anchor_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_anchors is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_anchors_append_only BEFORE UPDATE OR DELETE ON audit_anchors
FOR EACH ROW EXECUTE FUNCTION refuse_anchor_change();
--> statement-breakpoint
CREATE TRIGGER audit_anchors_no_truncate BEFORE TRUNCATE ON audit_anchors
FOR EACH STATEMENT EXECUTE FUNCTION refuse_anchor_change();
