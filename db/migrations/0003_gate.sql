CREATE SEQUENCE "public"."policy_versions" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 100 CACHE 1;--> statement-breakpoint
CREATE TABLE "grants" (
	"id" text PRIMARY KEY NOT NULL,
	"principal_id" text NOT NULL,
	"role" text NOT NULL,
	"scope" text DEFAULT '*' NOT NULL,
	"reason" text NOT NULL,
	"granted_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "group_members" (
	"group_name" text NOT NULL,
	"principal_id" text NOT NULL,
	"added_by" text NOT NULL,
	"added_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "group_members_group_name_principal_id_pk" PRIMARY KEY("group_name","principal_id")
);
--> statement-breakpoint
CREATE TABLE "groups" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "roles" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text NOT NULL,
	"permissions" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "clusters" (
	"name" text PRIMARY KEY NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"required_feature" text,
	"per_minute" integer,
	"reason" text,
	"updated_by" text,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"principal_id" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"state" text NOT NULL,
	"claim" text NOT NULL,
	"answer" jsonb,
	"locked_until" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_principal_id_route_key_pk" PRIMARY KEY("principal_id","route","key")
);
--> statement-breakpoint
CREATE TABLE "limit_counters" (
	"key" text PRIMARY KEY NOT NULL,
	"points" integer DEFAULT 0 NOT NULL,
	"expire" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "tiers" (
	"name" text PRIMARY KEY NOT NULL,
	"per_minute" integer,
	"events_per_minute" integer,
	"bytes_per_minute" integer,
	"features" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"updated_by" text,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "policies" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"version" integer DEFAULT nextval('policy_versions') NOT NULL,
	"place" integer NOT NULL,
	"match" jsonb NOT NULL,
	"rule" jsonb NOT NULL,
	"enabled" boolean DEFAULT false NOT NULL,
	"edited_by" text NOT NULL,
	"enabled_by" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "policies_name_unique" UNIQUE("name"),
	CONSTRAINT "policies_version_unique" UNIQUE("version")
);
--> statement-breakpoint
CREATE TABLE "kill_switch_head" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"epoch" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "kill_switches" (
	"scope" text PRIMARY KEY NOT NULL,
	"level" text NOT NULL,
	"epoch" bigint NOT NULL,
	"reason" text NOT NULL,
	"engaged_by" text NOT NULL,
	"engaged_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"released_by" text,
	"released_at" timestamp (3) with time zone,
	"release_reason" text,
	"release_per_minute" integer DEFAULT 30 NOT NULL,
	"last_released_at" timestamp (3) with time zone,
	"drained" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_anchors" (
	"chain_no" bigint PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"installation" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"key_id" text NOT NULL,
	"signature" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "blocks" (
	"id" text PRIMARY KEY NOT NULL,
	"subject_kind" text NOT NULL,
	"subject_id" text NOT NULL,
	"address" text,
	"reason" text NOT NULL,
	"threat_id" text,
	"placed_by" text NOT NULL,
	"until" timestamp (3) with time zone NOT NULL,
	"lifted_at" timestamp (3) with time zone,
	"lifted_by" text,
	"lifted_because" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "threats" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"subject_kind" text NOT NULL,
	"subject_id" text NOT NULL,
	"address" text DEFAULT '' NOT NULL,
	"severity" text NOT NULL,
	"count" integer NOT NULL,
	"state" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"first_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone,
	"closed_by" text,
	"closed_because" text
);
--> statement-breakpoint
CREATE TABLE "channels" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"config" jsonb NOT NULL,
	"sealed" text,
	"topics" jsonb NOT NULL,
	"min_severity" text NOT NULL,
	"cooldown_ms" integer DEFAULT 60000 NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"secret_version" integer DEFAULT 1 NOT NULL,
	"previous_secret_until" timestamp (3) with time zone,
	"created_by" text NOT NULL,
	"last_sent_at" timestamp (3) with time zone,
	"last_failed_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "channels_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"id" text PRIMARY KEY NOT NULL,
	"channel_id" text NOT NULL,
	"event_id" text NOT NULL,
	"topic" text NOT NULL,
	"dedupe_key" text NOT NULL,
	"title" text NOT NULL,
	"text" text NOT NULL,
	"fields" jsonb NOT NULL,
	"link" text,
	"severity" text NOT NULL,
	"state" text NOT NULL,
	"suppressed_because" text,
	"folded_into" text,
	"more" integer DEFAULT 0 NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"receipt" jsonb,
	"error" text,
	"workflow_id" text NOT NULL,
	"run_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "keys" ADD COLUMN "scopes" jsonb;--> statement-breakpoint
ALTER TABLE "keys" ADD COLUMN "issued_by" text;--> statement-breakpoint
ALTER TABLE "keys" ADD COLUMN "rotated_from" text;--> statement-breakpoint
ALTER TABLE "keys" ADD COLUMN "last_used_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "owner" text;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "tier" text DEFAULT 'founder' NOT NULL;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "oidc_subject" text;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "created_by" text;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "role_by" text;--> statement-breakpoint
ALTER TABLE "principals" ADD COLUMN "role_since" timestamp (3) with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_cycles" ADD COLUMN "left_out" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "target" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "type" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "policy_id" text DEFAULT 'built-in' NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "rule" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "requested_by_person" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "asked_by_person" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "asked_at" timestamp (3) with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "findings" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "handovers" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "reminders" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "reminded_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "approvals" ADD COLUMN "escalated_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "guidance" text;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "acknowledged_findings" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "break_glass" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "content" jsonb;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "key_id" text;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "login_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "decision_requests" ADD COLUMN "acknowledged_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "task_attempts" ADD COLUMN "epoch" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "task_attempts" ADD COLUMN "stop_asks" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "task_attempts" ADD COLUMN "stop_asked_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "folded" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "folded_risk" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "edited_by" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "guidance" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "parked_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "parked_because" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "released_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "grants" ADD CONSTRAINT "grants_principal_id_principals_id_fk" FOREIGN KEY ("principal_id") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "group_members" ADD CONSTRAINT "group_members_group_name_groups_name_fk" FOREIGN KEY ("group_name") REFERENCES "public"."groups"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "group_members" ADD CONSTRAINT "group_members_principal_id_principals_id_fk" FOREIGN KEY ("principal_id") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "blocks" ADD CONSTRAINT "blocks_threat_id_threats_id_fk" FOREIGN KEY ("threat_id") REFERENCES "public"."threats"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_channel_id_channels_id_fk" FOREIGN KEY ("channel_id") REFERENCES "public"."channels"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "grants_by_principal" ON "grants" USING btree ("principal_id");--> statement-breakpoint
CREATE INDEX "groups_of_member" ON "group_members" USING btree ("principal_id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_end" ON "idempotency_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "limit_counters_by_end" ON "limit_counters" USING btree ("expire");--> statement-breakpoint
CREATE INDEX "blocks_by_end" ON "blocks" USING btree ("until");--> statement-breakpoint
CREATE INDEX "blocks_by_time" ON "blocks" USING btree ("created_at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "threats_one_active" ON "threats" USING btree ("kind","subject_kind","subject_id","address") WHERE state = 'active';--> statement-breakpoint
CREATE INDEX "threats_by_time" ON "threats" USING btree ("last_at","id");--> statement-breakpoint
CREATE INDEX "threats_by_subject" ON "threats" USING btree ("subject_kind","subject_id");--> statement-breakpoint
CREATE INDEX "notifications_by_key" ON "notifications" USING btree ("channel_id","dedupe_key","created_at");--> statement-breakpoint
CREATE INDEX "notifications_by_creation" ON "notifications" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "notifications_queued" ON "notifications" USING btree ("created_at") WHERE state = 'queued';--> statement-breakpoint
CREATE INDEX "notifications_ended" ON "notifications" USING btree ("ended_at") WHERE ended_at is not null;--> statement-breakpoint
CREATE INDEX "notifications_folded" ON "notifications" USING btree ("folded_into") WHERE folded_into is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "keys_one_successor" ON "keys" USING btree ("rotated_from") WHERE revoked_at is null;--> statement-breakpoint
CREATE INDEX "approvals_by_expiry" ON "approvals" USING btree ("state","expires_at","id");--> statement-breakpoint
CREATE INDEX "approvals_by_creation" ON "approvals" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "decision_requests_unheard" ON "decision_requests" USING btree ("created_at") WHERE state = 'recorded' and source = 'api' and acknowledged_at is null;--> statement-breakpoint
CREATE INDEX "task_attempts_open" ON "task_attempts" USING btree ("task_id") WHERE state = 'intent';--> statement-breakpoint
CREATE INDEX "tasks_by_action" ON "tasks" USING btree ("type","target");--> statement-breakpoint
CREATE INDEX "tasks_parked" ON "tasks" USING btree ("parked_at","id") WHERE parked_at is not null and state = 'pending';--> statement-breakpoint
CREATE INDEX "tasks_released" ON "tasks" USING btree ("released_at") WHERE released_at is not null and state = 'pending';--> statement-breakpoint
ALTER TABLE "principals" ADD CONSTRAINT "principals_oidc_subject_unique" UNIQUE("oidc_subject");