import { type CommandDef, defineCommand } from 'citty';
import { group } from './command.ts';

/** Every command there is; each is loaded when it is named, as loading all takes longer than running one. */
export const root: CommandDef = defineCommand({
  meta: { name: 'dreamnet', description: 'Decide what waits, and look at what runs' },
  subCommands: {
    inbox: async () => (await import('./commands/inbox.ts')).inboxCommand,
    approve: async () => (await import('./commands/approve.ts')).approveCommand,
    reject: async () => (await import('./commands/reject.ts')).rejectCommand,
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
    halo: group(
      'halo',
      'The loop that looks for weak points',
      async () => (await import('./commands/halo.ts')).haloCommands,
    ),
    probe: group(
      'probe',
      'Stored requests that watch an endpoint',
      async () => (await import('./commands/probe.ts')).probeCommands,
    ),
    agent: group(
      'agent',
      'Who carries tasks out',
      async () => (await import('./commands/agent.ts')).agentCommands,
    ),
    principal: group(
      'principal',
      'Who may hold keys',
      async () => (await import('./commands/principal.ts')).principalCommands,
    ),
    key: group('key', 'Issue and revoke keys', async () => (await import('./commands/key.ts')).keyCommands),
    status: async () => (await import('./commands/status.ts')).statusCommand,
    me: async () => (await import('./commands/me.ts')).meCommand,
  },
});
