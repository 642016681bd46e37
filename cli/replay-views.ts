import type { ReplayState } from '../domain/replay.ts';
import type { Link } from './views.ts';

export type Replay = {
  id: string;
  subscription: string;
  select: Record<string, unknown>;
  sideEffects: boolean;
  state: ReplayState;
  progress: {
    selected: number;
    notMatching: number;
    queued: number;
    allQueued: boolean;
    pending: number;
    processing: number;
    completed: number;
    failed: number;
    withdrawn: number;
  };
  because: string | null;
  reason: string;
  requestedBy: string;
  createdAt: string;
  endedAt: string | null;
  temporal: Link;
};
type FoundEvent = { id: string; type: string; recordedAt: string } | null;
export type ReplayPreview = {
  count: number;
  more: boolean;
  first: FoundEvent;
  last: FoundEvent;
  types: { type: string; count: number }[];
  matching: number | null;
  selection: string;
};
export type ReplayDelivery = {
  eventId: string;
  eventType: string | null;
  recordedAt: string;
  state: string;
  previews: { would?: string }[] | null;
  error: string | null;
};
type Compared = { kind: string; title: string; target?: string; risk?: string };
export type ReplayDiff = {
  onlyBefore: Compared[];
  onlyAfter: Compared[];
  both: Compared[];
  counts: { onlyBefore: number; onlyAfter: number; both: number };
};
type ShadowRun = {
  window: { from: string; to: string };
  events: number;
  complete: boolean;
  notReplayable: string[];
};
export type ShadowAnswer = ShadowRun &
  (
    | {
        kind: 'halo';
        cycles: Record<'recorded' | 'present' | 'changed', { count: number }>;
        tasks: { againstRecorded: ReplayDiff; againstPresent: ReplayDiff };
      }
    | { kind: 'wormhole'; outcomes: ReplayDiff }
  );
