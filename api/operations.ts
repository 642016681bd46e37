import { routePath } from 'hono/route';
import type { Permission } from '../domain/access.ts';
import { defaultMaxBytes } from './body.ts';
import type { Api, ApiContext } from './context.ts';

/** What the steps before a route need to know of it; all of it stands in the route's own description. */
export type OperationFacts = {
  /** Method and path template: `POST /v1/tasks`. */
  name: string;
  cluster: string;
  access: Permission | 'authenticated' | 'public';
  maxBytes: number;
  secretAnswer: boolean;
  takesLines: boolean;
};

export type OperationOf = (c: ApiContext) => OperationFacts | null;

type Described = {
  method: string;
  path: string;
  tags?: string[];
  'x-permission'?: OperationFacts['access'];
  'x-max-bytes'?: number;
  'x-secret-answer'?: boolean;
  'x-takes-lines'?: boolean;
};

/** Finds the operation that a request will reach; null where there is none. */
export function createOperationOf(app: Api): OperationOf {
  let known: Map<string, OperationFacts> | null = null;
  return (c) => {
    // The routes are added after the steps before them, so they are read at the first request.
    known ??= readOperations(app);
    const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
    return known.get(`${method} ${routePath(c, -1)}`) ?? null;
  };
}

function readOperations(app: Api): Map<string, OperationFacts> {
  const all = app.openAPIRegistry.definitions.flatMap((definition) =>
    definition.type === 'route' ? [definition.route as Described] : [],
  );
  return new Map(
    all.map((route) => {
      const method = route.method.toUpperCase();
      const facts: OperationFacts = {
        name: `${method} ${route.path}`,
        cluster: route.tags?.[0] ?? 'other',
        access: route['x-permission'] ?? 'authenticated',
        maxBytes: route['x-max-bytes'] ?? defaultMaxBytes,
        secretAnswer: route['x-secret-answer'] === true,
        takesLines: route['x-takes-lines'] === true,
      };
      return [`${method} ${route.path.replaceAll(/\{(\w+)\}/g, ':$1')}`, facts];
    }),
  );
}

/** The parts of the API that there are, in alphabetical order. */
export function clusterNames(app: Api): string[] {
  return [...new Set([...readOperations(app).values()].map(({ cluster }) => cluster))].sort();
}
