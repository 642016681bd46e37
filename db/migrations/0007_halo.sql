CREATE TABLE "halo_counters" (
	"name" text PRIMARY KEY NOT NULL,
	"count" bigint DEFAULT 0 NOT NULL,
	"since" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"reached" bigint DEFAULT 0 NOT NULL,
	"told" bigint DEFAULT 0 NOT NULL,
	"reached_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "entity_links" (
	"from" text NOT NULL,
	"to" text NOT NULL,
	"kind" text NOT NULL,
	"weight" double precision NOT NULL,
	"figures" jsonb NOT NULL,
	"found_by" text NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "entity_links_from_to_kind_pk" PRIMARY KEY("from","to","kind")
);
--> statement-breakpoint
CREATE TABLE "insights" (
	"id" text PRIMARY KEY NOT NULL,
	"key" text NOT NULL,
	"pattern" text NOT NULL,
	"severity" text NOT NULL,
	"title" text NOT NULL,
	"entities" jsonb NOT NULL,
	"suggested_actions" jsonb NOT NULL,
	"figures" jsonb NOT NULL,
	"found_by" text NOT NULL,
	"last_seen_by" text NOT NULL,
	"found_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "memory_history" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"entity" text NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"cause" text NOT NULL,
	"event_id" text,
	"moves" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "memory_marks" (
	"event_id" text PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "memory_records" (
	"entity" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"tags" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"parent" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "memory_traits" (
	"entity" text NOT NULL,
	"trait" text NOT NULL,
	"value" double precision NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "memory_traits_entity_trait_pk" PRIMARY KEY("entity","trait")
);
--> statement-breakpoint
CREATE TABLE "autonomy" (
	"action" text NOT NULL,
	"target_class" text NOT NULL,
	"helped" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"streak" integer DEFAULT 0 NOT NULL,
	"state" text DEFAULT 'manual' NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"granted_by" text,
	"reason" text,
	"granted_at" timestamp (3) with time zone,
	"expires_at" timestamp (3) with time zone,
	"withdrawn_because" text,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "autonomy_action_target_class_pk" PRIMARY KEY("action","target_class")
);
--> statement-breakpoint
CREATE TABLE "repairs" (
	"task_id" text PRIMARY KEY NOT NULL,
	"action" text NOT NULL,
	"target" text NOT NULL,
	"target_class" text NOT NULL,
	"trouble_since" timestamp (3) with time zone NOT NULL,
	"repaired_at" timestamp (3) with time zone NOT NULL,
	"state" text NOT NULL,
	"verdict" text,
	"because" text,
	"view" jsonb,
	"judged_by" text,
	"judged_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "squad_members" (
	"squad" text NOT NULL,
	"agent_id" text NOT NULL,
	"role" text NOT NULL,
	"added_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "squad_members_squad_agent_id_pk" PRIMARY KEY("squad","agent_id")
);
--> statement-breakpoint
CREATE TABLE "squads" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text NOT NULL,
	"leader" text,
	"owner" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "task_paths" (
	"agent_id" text NOT NULL,
	"task_type" text NOT NULL,
	"strength" double precision NOT NULL,
	"successes" integer DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "task_paths_agent_id_task_type_pk" PRIMARY KEY("agent_id","task_type")
);
--> statement-breakpoint
ALTER TABLE "agents" ADD COLUMN "max_concurrency" integer DEFAULT 10 NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_cycles" ADD COLUMN "analyses" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_cycles" ADD COLUMN "incidents" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_cycles" ADD COLUMN "insights_used" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_cycles" ADD COLUMN "learning_errors" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "halo_issues" ADD COLUMN "observed" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "probes" ADD COLUMN "depends_on" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "squad" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "priority" text DEFAULT 'normal' NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "depends_on" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "parent_id" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "not_before" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "due_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "blast_radius" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "superseded_by" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "superseded_because" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "waits_since" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "waits_on" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "waits_for" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "woken_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "wakes" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "agent_choice" jsonb;--> statement-breakpoint
ALTER TABLE "memory_history" ADD CONSTRAINT "memory_history_entity_memory_records_entity_fk" FOREIGN KEY ("entity") REFERENCES "public"."memory_records"("entity") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "memory_traits" ADD CONSTRAINT "memory_traits_entity_memory_records_entity_fk" FOREIGN KEY ("entity") REFERENCES "public"."memory_records"("entity") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "repairs" ADD CONSTRAINT "repairs_task_id_tasks_id_fk" FOREIGN KEY ("task_id") REFERENCES "public"."tasks"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "squad_members" ADD CONSTRAINT "squad_members_squad_squads_name_fk" FOREIGN KEY ("squad") REFERENCES "public"."squads"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "squad_members" ADD CONSTRAINT "squad_members_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "squads" ADD CONSTRAINT "squads_leader_agents_id_fk" FOREIGN KEY ("leader") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "squads" ADD CONSTRAINT "squads_owner_principals_id_fk" FOREIGN KEY ("owner") REFERENCES "public"."principals"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_paths" ADD CONSTRAINT "task_paths_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "entity_links_by_to" ON "entity_links" USING btree ("to");--> statement-breakpoint
CREATE UNIQUE INDEX "insights_one_open" ON "insights" USING btree ("key") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "insights_by_time" ON "insights" USING btree ("found_at","id");--> statement-breakpoint
CREATE INDEX "memory_history_by_entity" ON "memory_history" USING btree ("entity","id");--> statement-breakpoint
CREATE INDEX "memory_marks_by_time" ON "memory_marks" USING btree ("at");--> statement-breakpoint
CREATE INDEX "memory_records_by_kind" ON "memory_records" USING btree ("kind","entity");--> statement-breakpoint
CREATE INDEX "memory_traits_by_value" ON "memory_traits" USING btree ("trait","value");--> statement-breakpoint
CREATE INDEX "repairs_watching" ON "repairs" USING btree ("repaired_at") WHERE state = 'watching';--> statement-breakpoint
CREATE INDEX "repairs_by_action" ON "repairs" USING btree ("action","target_class","repaired_at");--> statement-breakpoint
CREATE INDEX "squads_of_agent" ON "squad_members" USING btree ("agent_id");--> statement-breakpoint
CREATE INDEX "tasks_waiting" ON "tasks" USING btree ("agent_id","waits_since") WHERE waits_since is not null and state = 'pending';--> statement-breakpoint
CREATE INDEX "tasks_running" ON "tasks" USING btree ("agent_id") WHERE state = 'running';--> statement-breakpoint
CREATE INDEX "tasks_of_parent" ON "tasks" USING btree ("parent_id") WHERE parent_id is not null;--> statement-breakpoint
CREATE INDEX "tasks_of_squad" ON "tasks" USING btree ("squad") WHERE squad is not null;