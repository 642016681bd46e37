import { canonical, type Json, type JsonObject } from './json.ts';
import type { ExecutorBinding, Risk } from './task.ts';

/*
 * What an approval is bound to, for each kind of work (DESIGN 5): exactly what will run, and nothing that moves by
 * itself. Its canonical text is hashed; a change of any part makes another digest, the order of keys does not.
 */
export type TaskContent = {
  type: string;
  payload: JsonObject;
  target: string;
  binding: ExecutorBinding;
  risk: Risk;
  policyVersion: number;
};

/** A graft and a deployment change a target in the same way: by a version of a spore. */
export type GraftContent = {
  spore: string;
  sporeVersion: string;
  contentHash: string;
  parameters: JsonObject;
  target: string;
  plannedDiff: Json;
  policyVersion: number;
};

export type FabricContent = {
  artifactHash: string;
  baseCommit: string;
  findings: { id: string; level: string; text: string }[];
  target: string;
  policyVersion: number;
};

export type RemedyContent = {
  action: string;
  parameters: JsonObject;
  targets: string[];
  /** Ids of the events that show what depends on the targets; their numbers move, the ids do not. */
  dependencyEvidence: string[];
  policyVersion: number;
};

export type WorkContent =
  | ({ kind: 'task' } & TaskContent)
  | ({ kind: 'graft' | 'deployment' } & GraftContent)
  | ({ kind: 'fabric' } & FabricContent)
  | ({ kind: 'remedy' } & RemedyContent);

/** The parts of a piece of work that a person approves, member by member: what else a row carries stays out. */
export function approvedContent(content: WorkContent): Json {
  switch (content.kind) {
    case 'task': {
      const { kind, type, payload, target, binding, risk, policyVersion } = content;
      return { kind, type, payload, target, executor: binding, risk, policyVersion };
    }
    case 'graft':
    case 'deployment': {
      const { kind, spore, sporeVersion, contentHash, parameters, target, plannedDiff, policyVersion } =
        content;
      return { kind, spore, sporeVersion, contentHash, parameters, target, plannedDiff, policyVersion };
    }
    case 'fabric': {
      const { kind, artifactHash, baseCommit, target, policyVersion } = content;
      const findings = content.findings.map(({ id, level, text }) => ({ id, level, text }));
      findings.sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1));
      return { kind, artifactHash, baseCommit, findings, target, policyVersion };
    }
    case 'remedy': {
      const { kind, action, parameters, policyVersion } = content;
      const targets = [...content.targets].sort();
      const dependencyEvidence = [...content.dependencyEvidence].sort();
      return { kind, action, parameters, targets, dependencyEvidence, policyVersion };
    }
  }
}
