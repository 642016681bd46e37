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
    -- switch
    GRANT SELECT, INSERT, UPDATE ON kill_switches TO dreamnet_app;
    GRANT SELECT, UPDATE ON kill_switch_head TO dreamnet_app;
    -- chain: counters and idempotency keys expire, so the application deletes them
    GRANT SELECT, INSERT, UPDATE, DELETE ON limit_counters, idempotency_keys TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE ON tiers, clusters, threats, blocks TO dreamnet_app;
    -- receipts
    GRANT SELECT, INSERT ON audit_anchors TO dreamnet_app;
    -- notify
    GRANT SELECT, INSERT, UPDATE ON channels TO dreamnet_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO dreamnet_app;
  END IF;
END $$;
--> statement-breakpoint
-- switch
INSERT INTO kill_switch_head (one, epoch) VALUES (true, 0);
--> statement-breakpoint
ALTER TABLE kill_switch_head ADD CONSTRAINT kill_switch_head_one_row CHECK (one);
--> statement-breakpoint
CREATE FUNCTION kill_switch_epoch() RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
BEGIN
  -- Held to the end of the caller's statement: an engage that comes later waits for what is on its way, and one that
  -- came first is seen, because the question below is a statement with a view of its own. Advisory locks are fair: no
  -- stream of dispatches can keep an engage out.
  PERFORM pg_advisory_xact_lock_shared(hashtext('dreamnet.kill_switch'));
  RETURN (SELECT epoch FROM kill_switch_head);
END $$;
--> statement-breakpoint
-- Approvals of an earlier release have no target of their own; a switch over targets must find it.
UPDATE approvals SET target = tasks.target, type = tasks.type
FROM tasks WHERE tasks.id = approvals.subject_id AND approvals.target = '';
--> statement-breakpoint
-- chain: a count is worth nothing after a crash, and each request would wait for its way to the disk.
ALTER TABLE limit_counters SET UNLOGGED;
--> statement-breakpoint
-- chain: the tiers of domain/tier.ts
INSERT INTO tiers (name, per_minute, events_per_minute, bytes_per_minute) VALUES
  ('seed', 10, 100, 262144),
  ('builder', 60, 1000, 4194304),
  ('operator', 200, 10000, 33554432),
  ('founder', 1000, 100000, 268435456),
  ('unmetered', NULL, NULL, NULL);
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
--> statement-breakpoint
-- gate: what was recorded before answers were noted was heard long ago.
UPDATE decision_requests SET acknowledged_at = settled_at WHERE state = 'recorded';
