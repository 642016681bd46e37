import {
  changesOf,
  type Detection,
  expecting,
  isExpected,
  see,
  startWatch,
  type Watch,
} from '../../domain/change-detection.ts';
import type { WeakPoint } from '../../domain/analyzers/issue.ts';
import { groupIncidents, isRipe } from '../../domain/incident.ts';
import { judgeRepair, type RepairView, type Stretch } from '../../domain/verdict.ts';
import type { CreateDetector, Finding, History, Repair } from './detector.ts';
import { dependents, minuteMs, type Service } from './plan.ts';
import type { Result } from './world.ts';

/** Peers are services whose trouble began with this one. */
const sameTroubleMs = 5 * minuteMs;
/** What is watched first after a repair, once the repair itself is over. */
const earlyMs = 3 * minuteMs;
/** The newest results since the repair. */
const newest = 10;

function stretch(results: readonly Result[]): Stretch {
  const good = results.filter(({ ok }) => ok);
  const logs = good.reduce((sum, { latencyMs }) => sum + Math.log(latencyMs), 0);
  return {
    results: results.length,
    failures: results.length - good.length,
    latencyMs: good.length === 0 ? null : Math.exp(logs / good.length),
  };
}

function viewOf({ service, sinceMs, repairedMs, peers }: Repair, history: History): RepairView {
  const between = (one: number, fromMs: number, untilMs: number): Stretch =>
    stretch(history(one, fromMs, untilMs));
  return {
    baseline: between(service, sinceMs - 90 * minuteMs, sinceMs - 2 * minuteMs),
    trouble: between(service, sinceMs, repairedMs),
    before: between(service, repairedMs - 3 * minuteMs, repairedMs),
    early: between(service, repairedMs, repairedMs + earlyMs),
    after: stretch(history(service, repairedMs + earlyMs, Infinity).slice(-newest)),
    peers: peers
      .filter((peer) => Math.abs(peer.sinceMs - sinceMs) <= sameTroubleMs)
      .map((peer) => ({
        baseline: between(peer.service, sinceMs - 90 * minuteMs, sinceMs - 2 * minuteMs),
        trouble: between(peer.service, peer.sinceMs, repairedMs),
        after: stretch(history(peer.service, repairedMs + earlyMs, Infinity).slice(-newest)),
      })),
  };
}

function weakPoint({ service, sinceMs }: Finding, services: readonly Service[]): WeakPoint {
  const id = String(service);
  return {
    ...{ id, key: id, analyzer: 'endpoint-health', entityKind: 'probe', entityId: id, entityName: id },
    ...{ severity: 'high', title: 'in trouble', subject: {}, owner: '', evidence: [], sinceMs },
    dependsOn: services[service]?.dependsOn.map((one) => `endpoint:${one}`) ?? [],
  };
}

export const createOurs =
  (options: Detection): CreateDetector =>
  (services) => {
    const own = { watches: services.map(startWatch), options };
    const expected = { watches: services.map(startWatch), options: expecting(options) };
    const leaning = services.map((_, at) => new Set(dependents(services, at)));
    const sinceOf = (watch: Watch | undefined, of: Detection): number | null => {
      const since = watch === undefined ? [] : changesOf(watch, of).map(({ sinceMs }) => sinceMs);
      return since.length === 0 ? null : Math.min(...since);
    };
    return {
      see: (service, { atMs, ok, latencyMs }) => {
        const point = { atMs, results: 1, failures: ok ? 0 : 1, latencyMs: ok ? latencyMs : null };
        for (const side of [own, expected]) {
          const watch = side.watches[service];
          if (watch !== undefined) see(watch, point, side.options);
        }
      },
      findings: () => {
        const alone = own.watches.map((watch) => sinceOf(watch, options));
        return services.flatMap(({ dependsOn }, service) => {
          const found = alone[service] ?? null;
          if (found !== null) return [{ service, sinceMs: found }];
          const sinceMs = sinceOf(expected.watches[service], expected.options);
          if (sinceMs === null) return [];
          const needed = dependsOn.flatMap((one) => alone[one] ?? []);
          return needed.some((one) => isExpected(sinceMs, one)) ? [{ service, sinceMs }] : [];
        });
      },
      groups: (findings, atMs) =>
        groupIncidents(findings.map((finding) => weakPoint(finding, services))).map((incident) => ({
          root: Number(incident.root.entityId),
          members: incident.members.map(({ entityId }) => Number(entityId)),
          isRipe: isRipe(incident, atMs),
        })),
      judge: (repair, history) => {
        // What needs the repaired service recovers by the repair: it is no peer.
        const peers = repair.peers.filter((peer) => !leaning[repair.service]?.has(peer.service));
        return judgeRepair(viewOf({ ...repair, peers }, history))?.verdict ?? null;
      },
    };
  };
