CREATE TABLE "bridge_clusters" (
	"name" text PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"allow_private_network" boolean DEFAULT false NOT NULL,
	"backlog_limit" integer NOT NULL,
	"hook_id" text,
	"enabled" boolean DEFAULT true NOT NULL,
	"owner" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "dead_letters" (
	"id" text PRIMARY KEY NOT NULL,
	"delivery_id" text NOT NULL,
	"subscription" text NOT NULL,
	"part" text DEFAULT '' NOT NULL,
	"event_id" text NOT NULL,
	"event_type" text NOT NULL,
	"event" jsonb NOT NULL,
	"cause" text NOT NULL,
	"error" text NOT NULL,
	"history" jsonb NOT NULL,
	"attempts" integer NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"handled_by" text,
	"reason" text,
	"handled_at" timestamp (3) with time zone,
	"redrive_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"id" text PRIMARY KEY NOT NULL,
	"subscription" text NOT NULL,
	"event_id" text NOT NULL,
	"event_recorded_at" timestamp (3) with time zone NOT NULL,
	"part" text DEFAULT '' NOT NULL,
	"replay_id" text,
	"side_effects" boolean DEFAULT true NOT NULL,
	"state" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL,
	"deadline_at" timestamp (3) with time zone,
	"claimed_until" timestamp (3) with time zone,
	"claim_epoch" integer DEFAULT 0 NOT NULL,
	"history" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"last_error" text,
	"previews" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "subscription_consumers" (
	"subscription" text NOT NULL,
	"consumer" integer NOT NULL,
	"holder" text NOT NULL,
	"alive_until" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "subscription_consumers_subscription_consumer_pk" PRIMARY KEY("subscription","consumer")
);
--> statement-breakpoint
CREATE TABLE "subscription_lanes" (
	"subscription" text NOT NULL,
	"lane" text NOT NULL,
	"cursor_tx" "xid8" NOT NULL,
	"cursor_seq" bigint NOT NULL,
	"lease_epoch" bigint DEFAULT 0 NOT NULL,
	"leased_by" text,
	"leased_until" timestamp (3) with time zone,
	"delivered" bigint DEFAULT 0 NOT NULL,
	"last_delivered_at" timestamp (3) with time zone,
	CONSTRAINT "subscription_lanes_subscription_lane_pk" PRIMARY KEY("subscription","lane")
);
--> statement-breakpoint
CREATE TABLE "event_schemas" (
	"type" text NOT NULL,
	"version" integer NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"schema" jsonb NOT NULL,
	"mode" text NOT NULL,
	"enabled" boolean NOT NULL,
	"owner" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "event_schemas_type_version_pk" PRIMARY KEY("type","version")
);
--> statement-breakpoint
CREATE TABLE "hooks" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"scheme" text NOT NULL,
	"form" text NOT NULL,
	"event_type" text NOT NULL,
	"severity" text NOT NULL,
	"mapping" jsonb NOT NULL,
	"per_minute" integer NOT NULL,
	"sealed" text NOT NULL,
	"secret_version" integer DEFAULT 1 NOT NULL,
	"previous_sealed" text,
	"previous_secret_until" timestamp (3) with time zone,
	"enabled" boolean DEFAULT true NOT NULL,
	"owner" text NOT NULL,
	"received" bigint DEFAULT 0 NOT NULL,
	"refused" bigint DEFAULT 0 NOT NULL,
	"last_received_at" timestamp (3) with time zone,
	"last_refused_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "hooks_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "retention_rules" (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"rules" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"changed_by" text NOT NULL,
	"changed_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"applied_at" timestamp (3) with time zone,
	"applied" jsonb
);
--> statement-breakpoint
CREATE TABLE "replays" (
	"id" text PRIMARY KEY NOT NULL,
	"subscription" text NOT NULL,
	"selection" jsonb NOT NULL,
	"only_matching" boolean NOT NULL,
	"side_effects" boolean NOT NULL,
	"per_minute" integer NOT NULL,
	"maximum" integer NOT NULL,
	"state" text NOT NULL,
	"until_tx" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"cursor_tx" "xid8" DEFAULT '0'::xid8 NOT NULL,
	"cursor_seq" bigint DEFAULT 0 NOT NULL,
	"matched" integer DEFAULT 0 NOT NULL,
	"queued" integer DEFAULT 0 NOT NULL,
	"skipped" integer DEFAULT 0 NOT NULL,
	"withdrawn" integer DEFAULT 0 NOT NULL,
	"paced_from" timestamp (3) with time zone,
	"queued_at" timestamp (3) with time zone,
	"outcome" jsonb,
	"because" text,
	"reason" text NOT NULL,
	"requested_by" text NOT NULL,
	"workflow_id" text NOT NULL,
	"run_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "dead_letter_alerts" (
	"subscription" text PRIMARY KEY NOT NULL,
	"raised" integer NOT NULL,
	"because" text NOT NULL,
	"raised_at" timestamp (3) with time zone NOT NULL,
	"cleared_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "redrive_items" (
	"redrive_id" text NOT NULL,
	"dead_letter_id" text NOT NULL,
	"delivery_id" text NOT NULL,
	"place" integer NOT NULL,
	"state" text NOT NULL,
	"is_canary" boolean DEFAULT false NOT NULL,
	"because" text,
	"released_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	CONSTRAINT "redrive_items_redrive_id_dead_letter_id_pk" PRIMARY KEY("redrive_id","dead_letter_id")
);
--> statement-breakpoint
CREATE TABLE "redrives" (
	"id" text PRIMARY KEY NOT NULL,
	"requested_by" text NOT NULL,
	"reason" text,
	"filter" jsonb,
	"state" text NOT NULL,
	"canary" boolean NOT NULL,
	"per_minute" integer NOT NULL,
	"total" integer NOT NULL,
	"ended_because" text,
	"cancelled_by" text,
	"workflow_id" text NOT NULL,
	"run_id" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "subscription_starts" (
	"subscription" text PRIMARY KEY NOT NULL,
	"tx" "xid8" NOT NULL,
	"seq" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "wormhole_results" (
	"wormhole" text NOT NULL,
	"event_id" text NOT NULL,
	"replay" text DEFAULT '' NOT NULL,
	"version" integer NOT NULL,
	"outcome" text NOT NULL,
	"detail" jsonb NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "wormhole_results_wormhole_event_id_replay_pk" PRIMARY KEY("wormhole","event_id","replay")
);
--> statement-breakpoint
CREATE TABLE "wormhole_windows" (
	"wormhole" text NOT NULL,
	"key" text NOT NULL,
	"replay" text DEFAULT '' NOT NULL,
	"revision" integer NOT NULL,
	"state" jsonb NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "wormhole_windows_wormhole_key_replay_pk" PRIMARY KEY("wormhole","key","replay")
);
--> statement-breakpoint
CREATE TABLE "wormholes" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"match" jsonb NOT NULL,
	"action" jsonb NOT NULL,
	"sealed" text,
	"secret_version" integer DEFAULT 1 NOT NULL,
	"max_hops" integer DEFAULT 16 NOT NULL,
	"enabled" boolean DEFAULT false NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"owner" text,
	"enabled_by" text,
	"enabled_at" timestamp (3) with time zone,
	"back_tested_version" integer,
	"back_tested_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"removed_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "schema_version" SET DEFAULT 0;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN "path" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "description" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "config" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "strategy" text DEFAULT 'broadcast' NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "consumers" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "max_attempts" integer DEFAULT 5 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "backoff_ms" integer DEFAULT 1000 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "max_backoff_ms" integer DEFAULT 60000 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "deadline_ms" integer;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "paused_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "paused_by" text;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "pause_reason" text;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "secret_version" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "previous_secret_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "owner" text;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "version" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "subscriptions" ADD COLUMN "updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription_consumers" ADD CONSTRAINT "subscription_consumers_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription_lanes" ADD CONSTRAINT "subscription_lanes_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "replays" ADD CONSTRAINT "replays_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "redrive_items" ADD CONSTRAINT "redrive_items_redrive_id_redrives_id_fk" FOREIGN KEY ("redrive_id") REFERENCES "public"."redrives"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "subscription_starts" ADD CONSTRAINT "subscription_starts_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "wormhole_results" ADD CONSTRAINT "wormhole_results_wormhole_wormholes_id_fk" FOREIGN KEY ("wormhole") REFERENCES "public"."wormholes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "wormhole_windows" ADD CONSTRAINT "wormhole_windows_wormhole_wormholes_id_fk" FOREIGN KEY ("wormhole") REFERENCES "public"."wormholes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "dead_letters_by_creation" ON "dead_letters" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "dead_letters_open" ON "dead_letters" USING btree ("subscription","created_at") WHERE state = 'open';--> statement-breakpoint
CREATE INDEX "dead_letters_by_event" ON "dead_letters" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "dead_letters_by_delivery" ON "dead_letters" USING btree ("delivery_id");--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "deliveries" USING btree ("subscription","due_at") WHERE state in ('pending', 'processing');--> statement-breakpoint
CREATE INDEX "deliveries_by_event" ON "deliveries" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "deliveries_by_replay" ON "deliveries" USING btree ("replay_id","id") WHERE replay_id is not null;--> statement-breakpoint
CREATE INDEX "deliveries_ended" ON "deliveries" USING btree ("ended_at") WHERE ended_at is not null;--> statement-breakpoint
CREATE INDEX "event_schemas_enabled" ON "event_schemas" USING btree ("type") WHERE enabled;--> statement-breakpoint
CREATE INDEX "replays_by_creation" ON "replays" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "replays_unstarted" ON "replays" USING btree ("created_at") WHERE run_id is null and state = 'running';--> statement-breakpoint
CREATE INDEX "redrive_items_by_state" ON "redrive_items" USING btree ("redrive_id","state","place");--> statement-breakpoint
CREATE INDEX "redrives_by_creation" ON "redrives" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "redrives_live" ON "redrives" USING btree ("created_at") WHERE state in ('canary', 'releasing');--> statement-breakpoint
CREATE INDEX "wormhole_results_by_time" ON "wormhole_results" USING btree ("wormhole","at","event_id");--> statement-breakpoint
CREATE INDEX "wormhole_results_ended" ON "wormhole_results" USING btree ("at");--> statement-breakpoint
CREATE INDEX "wormhole_windows_ended" ON "wormhole_windows" USING btree ("ends_at");--> statement-breakpoint
CREATE UNIQUE INDEX "wormholes_name" ON "wormholes" USING btree ("name") WHERE removed_at is null;--> statement-breakpoint
CREATE INDEX "event_keys_by_time" ON "event_keys" USING brin ("recorded_at");--> statement-breakpoint
CREATE INDEX "events_rare_priority" ON "events" USING btree ("priority","tx","seq") WHERE priority <> 'normal';--> statement-breakpoint
CREATE INDEX "events_by_destination" ON "events" USING btree ("destination","tx","seq") WHERE destination is not null;--> statement-breakpoint
CREATE INDEX "events_by_causation" ON "events" USING btree ("causation_id") WHERE causation_id is not null;--> statement-breakpoint
-- Cursors of an earlier release move into their lane before their columns go.
INSERT INTO "subscription_lanes" ("subscription", "lane", "cursor_tx", "cursor_seq", "lease_epoch", "delivered", "last_delivered_at")
SELECT "key", 'all', "cursor_tx", "cursor_seq", "lease_epoch", "delivered", "last_delivered_at" FROM "subscriptions";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "cursor_tx";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "cursor_seq";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "lease_epoch";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "delivered";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "last_delivered_at";