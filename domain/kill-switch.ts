import { matchesScope } from './access.ts';
import { refuse, type Refusal } from './refusal.ts';
import { scopePattern } from './scope.ts';

/*
 * A kill switch stands over a scope: everything (`all`), one kind of work (`kind:task`), or targets (`target:probe:*`).
 * Its level is the highest thing still allowed there, from observe (look only) over propose and approve-only to
 * dispatch, the normal state.
 *
 * dispatch -> engaged (any lower level) -> dispatch
 *
 * Engaging takes the next number of one line for all scopes as the scope's epoch; so does engaging again with another
 * level. What was begun in its scope before carries a lower epoch: it is stopped, and stays stopped after a release.
 * What would begin is parked and begins again after a release, with the epoch of then. A piece of work falls under
 * every switch whose scope covers it, and the lowest level counts. Nobody is above a switch.
 */
export const switchLevels = ['observe', 'propose', 'approve-only', 'dispatch'] as const;
export type SwitchLevel = (typeof switchLevels)[number];

/** Levels a switch can be engaged at; the highest is its release. */
export const holdLevels = ['observe', 'propose', 'approve-only'] as const satisfies SwitchLevel[];
export type HoldLevel = (typeof holdLevels)[number];

export type SwitchAction = 'propose' | 'approve' | 'dispatch';

/** Kinds of work a switch can stand over. A question about an outcome only records what has happened: never held. */
const switchKinds = ['task', 'graft', 'deployment', 'fabric', 'remedy', 'probe', 'delivery'] as const;

export type Work = { kind: string; target: string };

export type KillSwitch = {
  scope: string;
  level: SwitchLevel;
  epoch: number;
  reason: string;
  /** The name of who engaged it. */
  engagedBy: string;
  engagedAt: string;
};

const everything = 'all';
export const defaultReleasePerMinute = 30;
export const maxReleasePerMinute = 600;

const needed: Record<SwitchAction, SwitchLevel> = {
  propose: 'propose',
  approve: 'approve-only',
  dispatch: 'dispatch',
};

/** A scope is `all`, `kind:` with a known kind, or `target:` with a target that may end in `*`. */
export function checkScope(scope: string): Refusal | null {
  const [form = '', rest = ''] = split(scope);
  const isKind = form === 'kind' && (switchKinds as readonly string[]).includes(rest);
  const isTarget = form === 'target' && rest !== '*' && scopePattern.test(rest);
  if (scope === everything || isKind || isTarget) return null;
  const kinds = switchKinds.map((kind) => `kind:${kind}`).join(', ');
  return refuse(
    'INVALID',
    `"${scope}" is no scope. Allowed: ${everything}, ${kinds}, target:TARGET (a \`*\` at its end stands for anything).`,
  );
}

function split(scope: string): [string, string] {
  const at = scope.indexOf(':');
  return at < 0 ? [scope, ''] : [scope.slice(0, at), scope.slice(at + 1)];
}

/** True when the scope of a switch covers this work. */
export function coversWork(scope: string, work: Work): boolean {
  const [form, rest] = split(scope);
  if (form === 'kind') return rest === work.kind;
  if (form === 'target') return matchesScope(rest, work.target);
  return scope === everything;
}

export const switchStates = ['engaged', 'draining', 'released'] as const;
export type SwitchState = (typeof switchStates)[number];

/** A released switch drains while tasks under it are still parked. */
export function switchState(level: SwitchLevel, parked: number): SwitchState {
  if (level !== 'dispatch') return 'engaged';
  return parked > 0 ? 'draining' : 'released';
}

const height = (level: SwitchLevel): number => switchLevels.indexOf(level);

/** The lowest level of all switches over this work, and the switch that holds it there (of equals the newest). */
export function levelFor(switches: KillSwitch[], work: Work): { level: SwitchLevel; by: KillSwitch | null } {
  const [lowest] = switches
    .filter(({ scope, level }) => level !== 'dispatch' && coversWork(scope, work))
    .sort((one, other) => height(one.level) - height(other.level) || other.epoch - one.epoch);
  return { level: lowest?.level ?? 'dispatch', by: lowest ?? null };
}

/** Another level for an engaged switch that allows more is a release in part, and asks for the same permission. */
export function isLoosened(from: SwitchLevel, to: HoldLevel): boolean {
  return from !== 'dispatch' && height(to) > height(from);
}

/** A level allows an action when it stands at least as high as the action needs. */
export function allows(level: SwitchLevel, action: SwitchAction): boolean {
  return height(level) >= height(needed[action]);
}

const verbs: Record<SwitchAction, string> = {
  propose: 'proposing work',
  approve: 'approving',
  dispatch: 'dispatching',
};

/** Refuses an action that the switches over this work do not allow, and says who stopped it, when, why and how it ends. */
export function holdFor(switches: KillSwitch[], work: Work, action: SwitchAction): Refusal | null {
  const { level, by } = levelFor(switches, work);
  if (by === null || allows(level, action)) return null;
  const { scope, epoch, reason, engagedBy, engagedAt } = by;
  return refuse(
    'CONFLICT',
    `Held by the ${describeSwitch(by)}: ${verbs[action]} is not allowed for ${work.kind} on ${work.target}. Release it: \`dreamnet kill-switch release --scope '${scope}' --reason TEXT\` (kill-switch:release).`,
    { killSwitch: { scope, level, epoch, reason, engagedBy, engagedAt }, action },
  );
}

/** The switch as a sentence says it: scope, level, who, when and why. */
function describeSwitch(by: KillSwitch): string {
  return `kill switch over ${by.scope} (level ${by.level}), engaged by ${by.engagedBy} at ${by.engagedAt}: ${by.reason}`;
}

/** The epoch of work is the highest of the switches over it; 0 where none was ever engaged. */
export function epochFor(switches: KillSwitch[], work: Work): number {
  return Math.max(0, ...switches.filter(({ scope }) => coversWork(scope, work)).map(({ epoch }) => epoch));
}

/** Why work that began under `epoch` has to stop: a switch over it was engaged since. Null while it may go on. */
export function stopFor(switches: KillSwitch[], work: Work, epoch: number): string | null {
  const [newest] = switches
    .filter((each) => each.epoch > epoch && coversWork(each.scope, work))
    .sort((one, other) => other.epoch - one.epoch);
  if (newest === undefined) return null;
  const { scope, engagedBy, reason } = newest;
  return `stopped by the kill switch (${scope}, engaged by ${engagedBy}: ${reason})`;
}
