/** What a rule would do with recorded events: nothing is done, written or sent. */
export const outcomeKinds = ['task', 'notification', 'event', 'halo-trigger', 'forward', 'log'] as const;

export type Outcome = {
  /** What makes two outcomes the same one: a fingerprint, or a key that repetitions share. */
  key: string;
  kind: (typeof outcomeKinds)[number];
  title: string;
  target?: string;
  eventIds: string[];
};

/** An outcome with how often it came about on either side. */
export type Compared<T extends Outcome = Outcome> = T & { before: number; after: number };

export type OutcomeDiff<T extends Outcome = Outcome> = {
  onlyBefore: Compared<T>[];
  onlyAfter: Compared<T>[];
  both: Compared<T>[];
  counts: { before: number; after: number; onlyBefore: number; onlyAfter: number; both: number };
};

const rememberedEvents = 20;

/** Outcomes of one kind and key are one: the newest speaks for them, with the first events of all. */
export function diffOutcomes<T extends Outcome>(before: Iterable<T>, after: Iterable<T>): OutcomeDiff<T> {
  const all = new Map<string, Compared<T>>();
  for (const [side, outcomes] of [
    ['before', before],
    ['after', after],
  ] as const)
    for (const outcome of outcomes) {
      const name = `${outcome.kind}\n${outcome.key}`;
      const known = all.get(name);
      const eventIds = [...new Set([...(known?.eventIds ?? []), ...outcome.eventIds])].slice(
        0,
        rememberedEvents,
      );
      const times = { before: known?.before ?? 0, after: known?.after ?? 0 };
      all.set(name, { ...outcome, eventIds, ...times, [side]: times[side] + 1 });
    }
  const compared = [...all.values()].sort((a, b) => compareText(a.kind, b.kind) || compareText(a.key, b.key));
  const onlyBefore = compared.filter((one) => one.after === 0);
  const onlyAfter = compared.filter((one) => one.before === 0);
  const both = compared.filter((one) => one.before > 0 && one.after > 0);
  return {
    ...{ onlyBefore, onlyAfter, both },
    counts: {
      before: onlyBefore.length + both.length,
      after: onlyAfter.length + both.length,
      ...{ onlyBefore: onlyBefore.length, onlyAfter: onlyAfter.length, both: both.length },
    },
  };
}

/** By code unit: the order is the same on every machine. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
