export type LockAttempt =
  { held: true; tookOver: boolean; release: () => void } | { held: false; holder: number };

export function tryLock(path: string): LockAttempt;

export function withLock<T>(
  path: string,
  onWait: (holder: number, waitedSeconds: number) => void,
  work: () => Promise<T>,
): Promise<T>;
