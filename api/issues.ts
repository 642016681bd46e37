import type { z } from '@hono/zod-openapi';

export type IssueView = { path: (string | number)[]; message: string };

const shown = 50;

/** What is wrong with an input and where, with the alternatives of a union replaced by the one that was meant. */
export function issuesOf(error: z.ZodError): IssueView[] {
  return error.issues.flatMap((issue) => flatten(issue, [])).slice(0, shown);
}

type Issue = z.core.$ZodIssue;

function flatten(issue: Issue, above: PropertyKey[]): IssueView[] {
  const path = [...above, ...issue.path];
  const meant = issue.code === 'invalid_union' ? closest(issue.errors) : null;
  if (meant !== null) return meant.flatMap((inner) => flatten(inner, path));
  return [
    { path: path.map((part) => (typeof part === 'number' ? part : String(part))), message: issue.message },
  ];
}

/** The alternative whose kind of value fits: its complaints are about members, not about the whole. */
function closest(alternatives: readonly (readonly Issue[])[]): readonly Issue[] | null {
  const fits = (issues: readonly Issue[]): boolean =>
    !issues.some((issue) => issue.code === 'invalid_type' && issue.path.length === 0);
  return alternatives.find(fits) ?? null;
}
