import type { KeyObject } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { type Logger, type NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { createAuditActivities } from '../activities/audit.ts';
import { createCommandActivities } from '../activities/command.ts';
import { createDecisionActivities } from '../activities/decisions.ts';
import { createHaloActivities } from '../activities/halo.ts';
import { createHaloTimerActivities } from '../activities/halo-timer.ts';
import { createHaloLearningActivities } from '../activities/halo-learning.ts';
import { createHaloSupersedingActivities } from '../activities/halo-superseding.ts';
import { createHttpActivities } from '../activities/http.ts';
import {
  createNotificationActivities,
  createNotificationEndActivities,
} from '../activities/notifications.ts';
import { createProbeActivities } from '../activities/probes.ts';
import { createSubscriptionRequestActivities } from '../activities/subscription-requests.ts';
import { createRetentionActivities } from '../activities/retention.ts';
import { createRedriveActivities } from '../activities/redrives.ts';
import { createReplayActivities } from '../activities/replays.ts';
import { createSubscriptionActivities } from '../activities/subscriptions.ts';
import { createTaskActivities } from '../activities/tasks.ts';
import type { Database } from '../db/client.ts';
import { ensureEventPartitions } from '../db/events.ts';
import type { SecretBox } from '../db/sealed.ts';
import { ensureSubscription } from '../db/subscriptions.ts';
import { ensureWormholePresets } from '../db/wormholes.ts';
import { listenForEvents } from '../db/wakeups.ts';
import type { WorkerConfig } from '../domain/config.ts';
import { compileFilter } from '../domain/event-filter.ts';
import { memorySubscription } from '../domain/memory.ts';
import { taskQueues } from '../domain/names.ts';
import {
  haloDeploySubscription,
  haloSubscription,
  notifySubscription,
  wormholesSubscription,
} from '../domain/subscription.ts';
import { workflowBundle } from './bundle.ts';
import { watchDeadLetters } from './dead-letters.ts';
import { translateFailures } from './failures.ts';
import { enforceKillSwitch } from './kill-switch.ts';
import { createHandlers } from './handlers.ts';
import { startRelay } from './relay.ts';
import { createRuns } from './runs.ts';
import { ensureAuditAnchors, ensureHaloTimer, ensureRetention } from './schedules.ts';
import { wakeWaitingTasks } from './task-waits.ts';

export type WorkersDeps = {
  database: Database;
  connection: NativeConnection;
  client: Client;
  namespace: string;
  config: WorkerConfig;
  ticketKey: KeyObject;
  agentRoot: string;
  /** Signs heads of the audit, and nothing else. */
  auditKey: KeyObject;
  secretBox: SecretBox;
  host: string;
  searchPath: string;
  logger: Logger;
};

const consumerTurnMs = 5 * 60_000;

/** The workers of one process: workflows and record, executors, and event consumers, on a task queue each. */
export async function startWorkers(
  deps: WorkersDeps,
): Promise<{ stop(): Promise<void>; ended: Promise<void> }> {
  const { database, config, connection, namespace, logger } = deps;
  if (config.DREAMNET_RAW_SIGNALS === 'accept')
    logger.warn('DREAMNET_RAW_SIGNALS=accept: anyone who reaches Temporal can approve. For local play only.');
  await ensureEventPartitions(database.log);
  await ensureSubscription(database.log, haloSubscription);
  await ensureSubscription(database.log, haloDeploySubscription);
  await ensureSubscription(database.log, notifySubscription);
  await ensureSubscription(database.log, wormholesSubscription);
  await ensureSubscription(database.log, memorySubscription);
  await ensureWormholePresets(database.db);

  const runs = createRuns(deps.client);
  const dataDir = path.resolve(config.DREAMNET_DATA_DIR);
  const effectsDir = path.join(dataDir, 'effects');
  mkdirSync(effectsDir, { recursive: true, mode: 0o700 });
  const host = `${deps.host}:${dataDir}`;
  const common = {
    connection,
    namespace,
    interceptors: { activity: [() => ({ inbound: translateFailures() })] },
  } satisfies WorkerOptionsPart;

  const workers = await Promise.all([
    Worker.create({
      ...common,
      taskQueue: taskQueues.main,
      workflowBundle: await workflowBundle(logger),
      activities: {
        ...createTaskActivities({ database }),
        ...createDecisionActivities({
          database,
          ticketKey: deps.ticketKey,
          acceptRawSignals: config.DREAMNET_RAW_SIGNALS === 'accept',
        }),
        ...createHaloActivities({
          database,
          limits: {
            cooldownMs: config.DREAMNET_HALO_COOLDOWN_MS,
            errorWindowMs: config.DREAMNET_HALO_ERROR_WINDOW_MS,
            cyclesPerHour: config.DREAMNET_HALO_CYCLES_PER_HOUR,
            settleMs: config.DREAMNET_HALO_SETTLE_MS,
          },
          watched: {
            envFiles: config.DREAMNET_WATCH_ENV_FILES,
            hosts: config.DREAMNET_WATCH_HOSTS,
            healthUrls: config.DREAMNET_WATCH_HEALTH_URLS,
            allowPrivateNetwork: config.DREAMNET_WATCH_PRIVATE_NETWORK === 'allow',
            disks: config.DREAMNET_WATCH_DISKS,
            builds: config.DREAMNET_WATCH_BUILDS,
            lockFiles: config.DREAMNET_WATCH_LOCK_FILES,
            owner: config.DREAMNET_WATCH_OWNER ?? null,
          },
        }),
        ...createHaloLearningActivities({
          database,
          repairLimits: {
            streak: config.DREAMNET_AUTONOMY_STREAK,
            share: config.DREAMNET_AUTONOMY_SHARE,
            giveUpAfterMs: config.DREAMNET_VERDICT_GIVE_UP_HOURS * 3_600_000,
          },
        }),
        ...createHaloSupersedingActivities({ database }),
        ...createHaloTimerActivities({ signalHalo: (trigger) => runs.signalHalo(trigger) }),
        ...createProbeActivities({ database }),
        ...createAuditActivities({
          database,
          signingKey: deps.auditKey,
          headsFile: path.resolve(
            config.DREAMNET_AUDIT_HEADS_FILE ?? path.join(dataDir, 'audit', 'heads.jsonl'),
          ),
        }),
        ...createNotificationEndActivities({ database }),
        ...createSubscriptionRequestActivities({ database }),
        ...createRetentionActivities({ database }),
        ...createRedriveActivities({ database }),
        ...createReplayActivities({ database }),
      },
      maxCachedWorkflows: config.DREAMNET_MAX_CACHED_WORKFLOWS,
      // After kill -9 the next decision otherwise waits 10 s for the dead worker's sticky queue.
      stickyQueueScheduleToStartTimeout: '1s',
      shutdownGraceTime: config.DREAMNET_SHUTDOWN_GRACE_MS,
    }),
    Worker.create({
      ...common,
      taskQueue: taskQueues.effects,
      activities: {
        ...createCommandActivities({ database, effectsDir, host, searchPath: deps.searchPath }),
        ...createHttpActivities({ database, agentRoot: deps.agentRoot }),
        ...createNotificationActivities({
          database,
          agentRoot: deps.agentRoot,
          secretBox: deps.secretBox,
        }),
      },
      // A cancellation travels back with a heartbeat: the default holds heartbeats back for most of their time-out.
      maxHeartbeatThrottleInterval: '1s',
      // Commands outlive this process and are found again; waiting for them would only hold up the restart.
      shutdownGraceTime: '1s',
    }),
    Worker.create({
      ...common,
      taskQueue: taskQueues.bus,
      activities: createSubscriptionActivities({
        database,
        handlers: createHandlers({
          ...{ database, runs, client: deps.client, agentRoot: deps.agentRoot, secretBox: deps.secretBox },
          baseUrl: config.DREAMNET_PUBLIC_URL.replace(/\/+$/, ''),
          log: logger,
        }),
        compileFilter,
        wakeups: await listenForEvents(database.log),
        turnMs: consumerTurnMs,
      }),
      // Each subscription holds one place or more for as long as it is there.
      maxConcurrentActivityTaskExecutions: 500,
      maxHeartbeatThrottleInterval: '1s',
      shutdownGraceTime: '100ms',
    }),
  ]);
  await ensureAuditAnchors(deps.client);
  await ensureRetention(deps.client);
  await ensureHaloTimer(deps.client, config.DREAMNET_HALO_INTERVAL_MS);
  const relay = startRelay({ database, runs, log: logger });
  const killSwitch = enforceKillSwitch({ database, runs, log: logger });
  const taskWaits = wakeWaitingTasks({ database, runs, log: logger });
  const deadLetters = watchDeadLetters({
    database,
    limits: {
      open: config.DREAMNET_DEAD_LETTERS_OPEN_LIMIT,
      growth: config.DREAMNET_DEAD_LETTERS_GROWTH_LIMIT,
      cooldownMs: config.DREAMNET_DEAD_LETTERS_COOLDOWN_MS,
    },
    log: logger,
  });
  const ended = Promise.all(workers.map((worker) => worker.run())).then(() => undefined);
  return {
    ended,
    async stop() {
      await Promise.all([relay.stop(), killSwitch.stop(), taskWaits.stop(), deadLetters.stop()]);
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    },
  };
}

type WorkerOptionsPart = Partial<WorkerOptions>;
