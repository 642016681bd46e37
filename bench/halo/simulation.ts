import { detectChanges, type Point } from '../../domain/change-detection.ts';
import { atMost, type Bar } from '../report.ts';
import { createRandom } from './random.ts';

/** How many results it takes until a service that is down is found. */
export function measureSimulation(): Promise<Bar[]> {
  const random = createRandom(1);
  const points: Point[] = Array.from({ length: 200 }, (_, at) => ({
    atMs: at * 30_000,
    results: 1,
    failures: random.happens(0.005) ? 1 : 0,
    latencyMs: 100 * Math.exp(0.1 * random.normal()),
  }));
  for (let down = 1; ; down += 1) {
    points.push({ atMs: points.length * 30_000, results: 1, failures: 1, latencyMs: null });
    const isFound = detectChanges(points).some(({ kind }) => kind === 'failing');
    if (isFound) return Promise.resolve([atMost('an outage is found after', down, 3, 'results')]);
  }
}
