import { randomUUID } from 'node:crypto';
import { issueSeverities } from '../../domain/analyzers/issue.ts';
import { dispatchModes, risks, taskPriorities, taskRoles } from '../../domain/task.ts';
import { command } from '../command.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { bodyOf, show } from '../session.ts';
import { describeTask } from '../task-action.ts';
import type { TaskWhole } from '../views.ts';

export const createCommand = command({
  name: 'create',
  about: 'Propose a task; it waits in the inbox for another person',
  args: {
    type: {
      type: 'positional',
      required: true,
      description: 'What is to be done, such as repair.api.endpoint',
    },
    title: { type: 'string', required: true, valueHint: 'TEXT', description: 'One line for the inbox' },
    target: {
      type: 'string',
      required: true,
      valueHint: 'TARGET',
      description: 'What it is done to, such as probe:ID',
    },
    role: {
      type: 'string',
      required: true,
      valueHint: 'ROLE',
      description: `Role of the agent: ${taskRoles.join(', ')}`,
    },
    payload: { type: 'string', valueHint: 'JSON|@FILE|-', description: 'What the agent is given' },
    risk: { type: 'enum', options: [...risks], description: 'How much can go wrong' },
    severity: { type: 'enum', options: [...issueSeverities], description: 'How bad it is without it' },
    'dispatch-mode': {
      type: 'enum',
      options: [...dispatchModes],
      description: 'auto: runs as soon as it is approved',
    },
    'timeout-ms': { type: 'string', valueHint: 'N', description: 'Time the agent has' },
    'expires-in-seconds': { type: 'string', valueHint: 'N', description: 'Time people have' },
    reversible: { type: 'boolean', description: 'It can be undone' },
    priority: { type: 'enum', options: [...taskPriorities], description: 'Its place among others' },
    squad: { type: 'string', valueHint: 'NAME', description: 'Whose members are preferred' },
    'depends-on': { type: 'string', valueHint: 'ID,ID', description: 'Tasks that must have succeeded' },
    parent: { type: 'string', valueHint: 'ID', description: 'The task it is a part of' },
    'not-before': { type: 'string', valueHint: 'TIME', description: 'Begins no earlier, ISO 8601' },
    due: { type: 'string', valueHint: 'TIME', description: 'When it should be done, ISO 8601' },
    'idempotency-key': { type: 'string', valueHint: 'KEY', description: 'The same key makes the same task' },
  },
  run: async (session, args) => {
    const input = {
      type: args.type,
      title: args.title,
      target: args.target,
      targetRole: args.role,
      payload: args.payload === undefined ? undefined : await readObject('payload', args.payload),
      risk: args.risk,
      severity: args.severity,
      dispatchMode: args['dispatch-mode'],
      timeoutMs: readNumber('timeout-ms', args['timeout-ms']),
      expiresInSeconds: readNumber('expires-in-seconds', args['expires-in-seconds']),
      reversible: args.reversible,
      priority: args.priority,
      squad: args.squad,
      dependsOn: args['depends-on'] === undefined ? undefined : readList(args['depends-on']),
      parentId: args.parent,
      notBefore: args['not-before'],
      dueAt: args.due,
    };
    const key = args['idempotency-key'] ?? randomUUID();
    const reply = await session.api.post('/v1/tasks', input, { 'idempotency-key': key });
    const task = bodyOf<TaskWhole>(reply);
    show(session, reply, () => describeTask(session, task));
    if (reply.status === 200) session.out.hint('This task was created before with the same key.');
    if (reply.status === 202) session.out.hint('Stored; its run starts once Temporal answers again.');
    if (task.state === 'pending-approval')
      session.out.hint(`Another person decides: dreamnet approve ${task.approvalId}`);
    return 'ok';
  },
});
