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
ALTER TABLE "subscription_lanes" ADD CONSTRAINT "subscription_lanes_subscription_subscriptions_key_fk" FOREIGN KEY ("subscription") REFERENCES "public"."subscriptions"("key") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "dead_letters_by_creation" ON "dead_letters" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "dead_letters_open" ON "dead_letters" USING btree ("subscription","created_at") WHERE state = 'open';--> statement-breakpoint
CREATE INDEX "dead_letters_by_event" ON "dead_letters" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "dead_letters_by_delivery" ON "dead_letters" USING btree ("delivery_id");--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "deliveries" USING btree ("subscription","due_at") WHERE state in ('pending', 'processing');--> statement-breakpoint
CREATE INDEX "deliveries_by_event" ON "deliveries" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "deliveries_by_replay" ON "deliveries" USING btree ("replay_id","id") WHERE replay_id is not null;--> statement-breakpoint
CREATE INDEX "deliveries_ended" ON "deliveries" USING btree ("ended_at") WHERE ended_at is not null;--> statement-breakpoint
CREATE INDEX "events_by_causation" ON "events" USING btree ("causation_id") WHERE causation_id is not null;--> statement-breakpoint
-- Cursors of an earlier release move into their lane before their columns go.
INSERT INTO "subscription_lanes" ("subscription", "lane", "cursor_tx", "cursor_seq", "lease_epoch", "delivered", "last_delivered_at")
SELECT "key", 'all', "cursor_tx", "cursor_seq", "lease_epoch", "delivered", "last_delivered_at" FROM "subscriptions";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "cursor_tx";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "cursor_seq";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "lease_epoch";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "delivered";--> statement-breakpoint
ALTER TABLE "subscriptions" DROP COLUMN "last_delivered_at";