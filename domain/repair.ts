import { judgeRepair, type Judgement, type RepairView } from './verdict.ts';

/** Results before the trouble without which a target's normal is not known. */
const leastBaseline = 5;
/** An agent that was repaired has this long for a sign of life. */
const silenceMs = 10 * 60_000;

export type Judged =
  | ({ state: 'judged' } & Judgement)
  | { state: 'not-judgeable'; because: string }
  /** Too early to say. */
  | null;

/** What was seen of a repaired agent; only signs of life tell whether it is back. */
export type LifeView = { isBack: boolean; sinceRepairMs: number; peers: { isBack: boolean }[] };

type Age = { sinceRepairMs: number; giveUpAfterMs: number; isOverlapped: boolean };

/**
 * A repair of what has results is judged by them; it is given up at once where its normal was never seen, where another
 * repair came before enough was seen, and after a stated time.
 */
export function judgeByResults(view: RepairView, age: Age): Judged {
  if (view.baseline.results < leastBaseline)
    return {
      state: 'not-judgeable',
      because: `its normal is not known: ${view.baseline.results} results before the trouble, ${leastBaseline} are needed`,
    };
  const judgement = judgeRepair(view);
  if (judgement !== null) return { state: 'judged', ...judgement };
  if (age.isOverlapped)
    return { state: 'not-judgeable', because: 'another repair of it came before enough was seen' };
  return age.sinceRepairMs >= age.giveUpAfterMs
    ? { state: 'not-judgeable', because: 'too little was seen of it in the time given' }
    : null;
}

/** A repaired agent helped itself when more than half of the untouched ones that fell silent with it are back too. */
export function judgeByLife({ isBack, sinceRepairMs, peers }: LifeView): Judged {
  if (!isBack)
    return sinceRepairMs < silenceMs
      ? null
      : { state: 'judged', verdict: 'no-change', because: 'it gave no sign of life since the repair' };
  const back = peers.filter((peer) => peer.isBack).length;
  if (back * 2 > peers.length)
    return {
      state: 'judged',
      verdict: 'recovered-anyway',
      because: `${back} of ${peers.length} untouched agents came back too`,
    };
  return {
    state: 'judged',
    verdict: 'recovered-by-action',
    because: 'it gives signs of life since the repair',
  };
}
