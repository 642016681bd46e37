import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import {
  type RunDescription,
  runAttributes,
  runSummary,
  searchAttributes,
  workflowTaskTimeoutMs,
} from '../domain/names.ts';

/** Where a run shows its state to searches. */
export const stateAttribute = defineSearchAttributeKey(searchAttributes.state, SearchAttributeType.KEYWORD);

/** How a child run shows itself in lists: one line for people, keyword attributes for search. */
export function describeRun(run: RunDescription): {
  staticSummary: string;
  typedSearchAttributes: SearchAttributePair[];
  workflowTaskTimeout: number;
} {
  const typedSearchAttributes = Object.entries(runAttributes(run)).map(([name, value]) => ({
    key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD),
    value,
  }));
  return {
    staticSummary: runSummary(run),
    typedSearchAttributes,
    workflowTaskTimeout: workflowTaskTimeoutMs,
  };
}
