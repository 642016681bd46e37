import { eventTypes } from './events.ts';

export type Wording = { title: string; text: string; next: string };
const decide = 'Look at what it would do, then approve or reject it: dreamnet inbox.';

/** Words by topic; `{x}` stands for a value, and a part in `[ ]` is left out where its value is missing. */
export const wordings: readonly [string, Wording][] = [
  [
    eventTypes.approvalRequested,
    {
      title: 'Approval wanted: {title}',
      text: 'A decision of yours is asked for[ about {target}][, risk {risk}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalReminded,
    {
      title: 'Still waiting: {title}',
      text: 'Nobody has decided yet[; it expires at {expiresAt}]. Silence is never consent.',
      next: decide,
    },
  ],
  [
    eventTypes.approvalEscalated,
    {
      title: 'Escalated: {title}',
      text: 'Those who were asked first did not decide[, risk {risk}][; now asked: {escalatedTo}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalHandedOver,
    {
      title: 'Handed over: {title}',
      text: 'The decision was handed over[ to {to}][ by {by}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalGlassBroken,
    {
      title: 'Glass broken: {title}',
      text: 'The rules of approval were set aside in an emergency[ by {by}][: {reason}].',
      next: 'Look at the audit now, and make sure that this was meant: dreamnet audit verify.',
    },
  ],
  [
    eventTypes.taskFailed,
    {
      title: 'Task failed: {title}',
      text: 'The agent reported a failure[ for {target}].',
      next: 'Read its log, then retry it or propose another way: dreamnet task show {taskId}.',
    },
  ],
  [
    eventTypes.taskOutcomeUnknown,
    {
      title: 'Outcome unknown: {title}',
      text: 'The answer of the agent is lost, and nothing is done twice[ for {target}].',
      next: 'Find out whether it took effect and say so in the inbox: approve means it did.',
    },
  ],
  [
    eventTypes.taskExpired,
    {
      title: 'Expired without a decision: {title}',
      text: 'Nobody decided in time, so nothing was done[ to {target}].',
      next: 'Propose it again where it is still wanted.',
    },
  ],
  [
    eventTypes.killSwitchEngaged,
    {
      title: 'Kill switch engaged[: {scope}]',
      text: 'Effects are stopped[ at level {level}][ by {by}][: {reason}].',
      next: 'Find out why before anybody releases it.',
    },
  ],
  [
    eventTypes.killSwitchReleased,
    {
      title: 'Kill switch released[: {scope}]',
      text: 'What was parked goes on at a set rate[; released by {by}][: {reason}].',
      next: 'Watch what is carried out now: dreamnet task list --state running.',
    },
  ],
  [
    'security.threat.*',
    {
      title: 'Threat[: {title}]',
      text: 'A rule over failed logins, bursts or signatures fired[: {reason}].',
      next: 'Look at the security events, and revoke the keys concerned.',
    },
  ],
  [
    eventTypes.integrationFailed,
    {
      title: 'Integration failed[: {name}]',
      text: 'Something outside does not answer as it should[: {reason}].',
      next: 'Check it, then try it: dreamnet channel test ID.',
    },
  ],
  [
    'wormhole.*',
    {
      title: '{title}',
      text: '[{text}]',
      next: 'A wormhole says so: dreamnet wormhole list.',
    },
  ],
  [
    eventTypes.autonomyChanged,
    {
      title: 'Autonomy {title}',
      text: 'How an action of HALO is approved changed[: {pair} is {state}][ by {by}][: {reason}].',
      next: 'Suggested is a question to you; manual asks you each time: dreamnet autonomy list.',
    },
  ],
  [
    eventTypes.haloRepairJudged,
    {
      title: 'A repair was judged[: {verdict}]',
      text: 'HALO compared {target} with its own past and its peers[: {because}].',
      next: 'See what was compared: dreamnet halo repairs --json.',
    },
  ],
  [
    eventTypes.deadLettersGrowing,
    {
      title: 'Dead letters grow[: {subscription}]',
      text: 'Deliveries fail for good[: {reason}].',
      next: 'See what grew and why: dreamnet dead-letter summary. Once it is mended: dreamnet dead-letter redrive.',
    },
  ],
  [
    eventTypes.deadLettersSettled,
    {
      title: 'Dead letters no longer grow[: {subscription}]',
      text: 'They are below half of the limits again[; {open} are open].',
      next: 'Look at the rest: dreamnet dead-letter list.',
    },
  ],
  [
    eventTypes.redriveEnded,
    {
      title: 'Redrive ended[: {redriveId}]',
      text: 'Dead letters were handed over again[: {reason}].',
      next: 'See what failed again: dreamnet redrive show {redriveId}.',
    },
  ],
  [
    'bus.dead-letter.*',
    {
      title: 'Dead letter handled[: {subscription}]',
      text: 'A person handed it over again or gave it up[; {by}][: {reason}].',
      next: 'Look at it: dreamnet dead-letter list --state any.',
    },
  ],
];
