import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';
import { searchAttributes } from '../domain/names.ts';

type Attribute = keyof typeof searchAttributes;

/** The search attributes of a new run, as the client wants them. */
export function searchAttributesOf(values: Partial<Record<Attribute, string>>): SearchAttributePair[] {
  return (Object.entries(values) as [Attribute, string][]).map(([attribute, value]) => ({
    key: defineSearchAttributeKey(searchAttributes[attribute], SearchAttributeType.KEYWORD),
    value,
  }));
}
