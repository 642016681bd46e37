CREATE TABLE "keys" (
	"id" text PRIMARY KEY NOT NULL,
	"principal_id" text NOT NULL,
	"label" text NOT NULL,
	"hash" text NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "principals" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "principals_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "audit_entries" (
	"chain_no" bigint PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject_kind" text NOT NULL,
	"subject_id" text NOT NULL,
	"outcome" text NOT NULL,
	"op_key" text NOT NULL,
	"body" text NOT NULL,
	"result" text NOT NULL,
	"prev_hash" text NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_entries_op_key_unique" UNIQUE("op_key")
);
--> statement-breakpoint
CREATE TABLE "audit_head" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"chain_no" bigint NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "event_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "events" (
	"seq" bigint GENERATED ALWAYS AS IDENTITY (sequence name "events_seq_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tx" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"category" text NOT NULL,
	"source_type" text NOT NULL,
	"source_id" text NOT NULL,
	"destination" text,
	"severity" text NOT NULL,
	"priority" text NOT NULL,
	"payload" jsonb NOT NULL,
	"metadata" jsonb NOT NULL,
	"correlation_id" text,
	"causation_id" text,
	"schema_version" integer DEFAULT 1 NOT NULL,
	"occurred_at" timestamp (3) with time zone NOT NULL,
	"deliver_at" timestamp (3) with time zone,
	"replay_of" text,
	CONSTRAINT "events_recorded_at_seq_pk" PRIMARY KEY("recorded_at","seq")
) PARTITION BY RANGE ("recorded_at");
--> statement-breakpoint
CREATE TABLE "subscriptions" (
	"key" text PRIMARY KEY NOT NULL,
	"handler" text NOT NULL,
	"match" jsonb NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"cursor_tx" "xid8" NOT NULL,
	"cursor_seq" bigint NOT NULL,
	"lease_epoch" bigint DEFAULT 0 NOT NULL,
	"delivered" bigint DEFAULT 0 NOT NULL,
	"last_delivered_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "agents" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"capabilities" jsonb NOT NULL,
	"executor" text NOT NULL,
	"config" jsonb NOT NULL,
	"config_version" integer DEFAULT 1 NOT NULL,
	"state" text NOT NULL,
	"principal_id" text NOT NULL,
	"owner" text NOT NULL,
	"last_seen_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "agents_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "halo_cycles" (
	"id" text PRIMARY KEY NOT NULL,
	"mode" text NOT NULL,
	"state" text NOT NULL,
	"trigger" jsonb NOT NULL,
	"weak_points" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"task_ids" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"error" text,
	"workflow_id" text NOT NULL,
	"run_id" text NOT NULL,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "halo_issues" (
	"id" text PRIMARY KEY NOT NULL,
	"cycle_id" text NOT NULL,
	"analyzer" text NOT NULL,
	"key" text NOT NULL,
	"entity_kind" text NOT NULL,
	"entity_id" text NOT NULL,
	"severity" text NOT NULL,
	"title" text NOT NULL,
	"evidence" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "probes" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"method" text NOT NULL,
	"url" text NOT NULL,
	"headers" jsonb NOT NULL,
	"body" text,
	"assertions" jsonb NOT NULL,
	"timeout_ms" integer NOT NULL,
	"interval_seconds" integer,
	"allow_private_network" boolean NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"owner" text NOT NULL,
	"state" text NOT NULL,
	"consecutive_failures" integer DEFAULT 0 NOT NULL,
	"last_result" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "probes_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "approvals" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"subject_id" text NOT NULL,
	"title" text NOT NULL,
	"summary" jsonb NOT NULL,
	"risk" text NOT NULL,
	"digest" text NOT NULL,
	"policy_version" integer NOT NULL,
	"state" text NOT NULL,
	"requested_by" text NOT NULL,
	"required_approvals" integer NOT NULL,
	"votes" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"workflow_id" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"decided_at" timestamp (3) with time zone,
	"closed_because" text
);
--> statement-breakpoint
CREATE TABLE "decision_requests" (
	"id" text PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"source" text NOT NULL,
	"subject_id" text NOT NULL,
	"approval_id" text,
	"workflow_id" text NOT NULL,
	"principal_id" text NOT NULL,
	"digest" text,
	"reason" text,
	"state" text NOT NULL,
	"outcome" jsonb,
	"expires_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "task_attempts" (
	"key" text PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"agent_id" text NOT NULL,
	"executor" text NOT NULL,
	"state" text NOT NULL,
	"dispatched_by" text NOT NULL,
	"digest" text NOT NULL,
	"host" text,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "task_logs" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"task_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"level" text NOT NULL,
	"message" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"id" text PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"title" text NOT NULL,
	"payload" jsonb NOT NULL,
	"target" text NOT NULL,
	"target_role" text NOT NULL,
	"state" text NOT NULL,
	"severity" text NOT NULL,
	"risk" text NOT NULL,
	"reversible" boolean DEFAULT false NOT NULL,
	"origin" text NOT NULL,
	"origin_id" text,
	"fingerprint" text,
	"evidence" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"evidence_count" integer DEFAULT 0 NOT NULL,
	"requested_by" text NOT NULL,
	"agent_id" text,
	"dispatch_mode" text NOT NULL,
	"timeout_ms" integer NOT NULL,
	"run" integer DEFAULT 1 NOT NULL,
	"attempt" integer DEFAULT 0 NOT NULL,
	"approval_id" text NOT NULL,
	"approvals" integer DEFAULT 1 NOT NULL,
	"digest" text NOT NULL,
	"policy_version" integer NOT NULL,
	"outcome_unknown" boolean DEFAULT false NOT NULL,
	"progress" jsonb,
	"result" jsonb,
	"error" text,
	"workflow_id" text NOT NULL,
	"run_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "keys" ADD CONSTRAINT "keys_principal_id_principals_id_fk" FOREIGN KEY ("principal_id") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agents" ADD CONSTRAINT "agents_principal_id_principals_id_fk" FOREIGN KEY ("principal_id") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "agents" ADD CONSTRAINT "agents_owner_principals_id_fk" FOREIGN KEY ("owner") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "halo_issues" ADD CONSTRAINT "halo_issues_cycle_id_halo_cycles_id_fk" FOREIGN KEY ("cycle_id") REFERENCES "public"."halo_cycles"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "probes" ADD CONSTRAINT "probes_owner_principals_id_fk" FOREIGN KEY ("owner") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_attempts" ADD CONSTRAINT "task_attempts_task_id_tasks_id_fk" FOREIGN KEY ("task_id") REFERENCES "public"."tasks"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_logs" ADD CONSTRAINT "task_logs_task_id_tasks_id_fk" FOREIGN KEY ("task_id") REFERENCES "public"."tasks"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_requested_by_principals_id_fk" FOREIGN KEY ("requested_by") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "keys_by_principal" ON "keys" USING btree ("principal_id");--> statement-breakpoint
CREATE INDEX "audit_by_subject" ON "audit_entries" USING btree ("subject_kind","subject_id","chain_no");--> statement-breakpoint
CREATE INDEX "audit_by_actor" ON "audit_entries" USING btree ("actor","chain_no");--> statement-breakpoint
CREATE INDEX "events_position" ON "events" USING btree ("tx","seq");--> statement-breakpoint
CREATE INDEX "events_by_id" ON "events" USING btree ("id");--> statement-breakpoint
CREATE INDEX "events_by_type" ON "events" USING btree ("type","recorded_at");--> statement-breakpoint
CREATE INDEX "events_by_source" ON "events" USING btree ("source_type","source_id","recorded_at");--> statement-breakpoint
CREATE INDEX "events_by_correlation" ON "events" USING btree ("correlation_id");--> statement-breakpoint
CREATE INDEX "halo_cycles_by_start" ON "halo_cycles" USING btree ("started_at","id");--> statement-breakpoint
CREATE INDEX "halo_issues_by_cycle" ON "halo_issues" USING btree ("cycle_id");--> statement-breakpoint
CREATE INDEX "approvals_by_state" ON "approvals" USING btree ("state","created_at","id");--> statement-breakpoint
CREATE INDEX "approvals_by_subject" ON "approvals" USING btree ("subject_id");--> statement-breakpoint
CREATE INDEX "decision_requests_open" ON "decision_requests" USING btree ("created_at") WHERE state = 'open';--> statement-breakpoint
CREATE INDEX "task_logs_by_task" ON "task_logs" USING btree ("task_id","id");--> statement-breakpoint
CREATE UNIQUE INDEX "tasks_one_open_per_fingerprint" ON "tasks" USING btree ("fingerprint") WHERE state in ('suggested', 'pending-approval', 'pending', 'running');--> statement-breakpoint
CREATE INDEX "tasks_by_state" ON "tasks" USING btree ("state","created_at");--> statement-breakpoint
CREATE INDEX "tasks_by_creation" ON "tasks" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "tasks_unstarted" ON "tasks" USING btree ("updated_at") WHERE run_id is null and state in ('suggested', 'pending-approval', 'pending', 'running');