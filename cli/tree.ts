import { type CommandDef, defineCommand } from 'citty';
import { group } from './command.ts';

/** Every command there is; each is loaded when it is named, as loading all takes longer than running one. */
export const root: CommandDef = defineCommand({
  meta: { name: 'dreamnet', description: 'Decide what waits, and look at what runs' },
  subCommands: {
    inbox: async () => (await import('./commands/inbox.ts')).inboxCommand,
    approve: async () => (await import('./commands/approve.ts')).approveCommand,
    reject: async () => (await import('./commands/reject.ts')).rejectCommand,
    edit: async () => (await import('./commands/edit.ts')).editCommand,
    'hand-over': async () => (await import('./commands/hand-over.ts')).handOverCommand,
    bulk: group(
      'bulk',
      'Decide many at once, exactly as they are shown',
      async () => (await import('./commands/bulk.ts')).bulkCommands,
    ),
    ticket: async () => (await import('./commands/ticket.ts')).ticketCommand,
    task: group(
      'task',
      'Propose, look at and run tasks',
      async () => (await import('./commands/task.ts')).taskCommands,
    ),
    policy: group(
      'policy',
      'Who has to say yes to what, and within what time',
      async () => (await import('./commands/policy.ts')).policyCommands,
    ),
    event: group(
      'event',
      'Send, list and follow events',
      async () => (await import('./commands/event.ts')).eventCommands,
    ),
    replay: group(
      'replay',
      'Hand recorded events out again, or try a changed rule on them',
      async () => (await import('./commands/replay.ts')).replayCommands,
    ),
    thread: group(
      'thread',
      'Events that belong together, by cause',
      async () => (await import('./commands/thread.ts')).threadCommands,
    ),
    schema: group(
      'schema',
      'What payloads of a type look like',
      async () => (await import('./commands/schema.ts')).schemaCommands,
    ),
    retention: group(
      'retention',
      'How long events are kept',
      async () => (await import('./commands/retention.ts')).retentionCommands,
    ),
    halo: group(
      'halo',
      'The loop that looks for weak points',
      async () => (await import('./commands/halo.ts')).haloCommands,
    ),
    memory: group(
      'memory',
      'What is remembered of agents, squads, endpoints and spores',
      async () => (await import('./commands/memory.ts')).memoryCommands,
    ),
    autonomy: group(
      'autonomy',
      'What HALO may do without a question each time',
      async () => (await import('./commands/autonomy.ts')).autonomyCommands,
    ),
    insight: group(
      'insight',
      'What HALO has learned about entities, and which belong together',
      async () => (await import('./commands/insight.ts')).insightCommands,
    ),
    probe: group(
      'probe',
      'Stored requests that watch an endpoint',
      async () => (await import('./commands/probe.ts')).probeCommands,
    ),
    squad: group(
      'squad',
      'Agents that work together, and how loaded they are',
      async () => (await import('./commands/squad.ts')).squadCommands,
    ),
    agent: group(
      'agent',
      'Who carries tasks out',
      async () => (await import('./commands/agent.ts')).agentCommands,
    ),
    wormhole: group(
      'wormhole',
      'Rules on the bus: which events they take, and what comes of them',
      async () => (await import('./commands/wormhole.ts')).wormholeCommands,
    ),
    channel: group(
      'channel',
      'Where people are told what happened',
      async () => (await import('./commands/channel.ts')).channelCommands,
    ),
    hook: group(
      'hook',
      'Doors for signed messages of others, each of which becomes an event',
      async () => (await import('./commands/hook.ts')).hookCommands,
    ),
    bridge: group(
      'bridge',
      'Other DreamNets that events are sent to',
      async () => (await import('./commands/bridge.ts')).bridgeCommands,
    ),
    notification: group(
      'notification',
      'What was sent, held back or given up',
      async () => (await import('./commands/notification.ts')).notificationCommands,
    ),
    'dead-letter': group(
      'dead-letter',
      'What was given up: look, hand it over again, or discard it',
      async () => (await import('./commands/dead-letter.ts')).deadLetterCommands,
    ),
    redrive: group(
      'redrive',
      'Dead letters that are handed over again',
      async () => (await import('./commands/redrive.ts')).redriveCommands,
    ),
    subscription: group(
      'subscription',
      'Who is handed which events',
      async () => (await import('./commands/subscription.ts')).subscriptionCommands,
    ),
    principal: group(
      'principal',
      'Who may hold keys',
      async () => (await import('./commands/principal.ts')).principalCommands,
    ),
    role: group(
      'role',
      'Names for permissions',
      async () => (await import('./commands/role.ts')).roleCommands,
    ),
    grant: group(
      'grant',
      'Further roles, for some targets and some time',
      async () => (await import('./commands/grant.ts')).grantCommands,
    ),
    group: group(
      'group',
      'Who approves together',
      async () => (await import('./commands/group.ts')).groupCommands,
    ),
    key: group(
      'key',
      'Issue, rotate and revoke keys',
      async () => (await import('./commands/key.ts')).keyCommands,
    ),
    audit: group(
      'audit',
      'Who did what, and whether the record of it is intact',
      async () => (await import('./commands/audit.ts')).auditCommands,
    ),
    control: group(
      'control',
      'Switch parts of the API off or on, and limit them',
      async () => (await import('./commands/control.ts')).controlCommands,
    ),
    'kill-switch': group(
      'kill-switch',
      'Stop everything, one kind of work or some targets, and let it begin again',
      async () => (await import('./commands/kill-switch.ts')).killSwitchCommands,
    ),
    tier: group(
      'tier',
      'What a principal may use in a minute',
      async () => (await import('./commands/tier.ts')).tierCommands,
    ),
    security: group(
      'security',
      'Threats, blocks and risk',
      async () => (await import('./commands/security.ts')).securityCommands,
    ),
    status: async () => (await import('./commands/status.ts')).statusCommand,
    me: async () => (await import('./commands/me.ts')).meCommand,
  },
});
