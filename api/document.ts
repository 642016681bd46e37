import { problemSchema } from './schemas.ts';
import type { Api } from './context.ts';

export const methods = ['get', 'post', 'put', 'patch', 'delete'] as const;
export type Method = (typeof methods)[number];

export type Operation = {
  tags?: string[];
  summary?: string;
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; schema?: unknown; description?: string }[];
  requestBody?: { required?: boolean; content?: Record<string, { schema?: unknown }> };
  responses: Record<string, { description?: string; content?: Record<string, { schema?: unknown }> }>;
  'x-permission'?: string;
  'x-secret-answer'?: boolean;
};

export type ApiDocument = {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Partial<Record<Method, Operation>>>;
  components?: Record<string, unknown>;
};

/** The OpenAPI 3.1 document of every registered route; each of them can also answer with a problem. */
export function describeApi(app: Api): ApiDocument {
  app.openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'A key of DreamNet, `dn_live_...`, or a login of the identity provider where one is set.',
  });
  app.openAPIRegistry.register('Problem', problemSchema);
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'DreamNet', version: '1' },
  }) as unknown as ApiDocument;
  for (const { method, operation } of operationsOf(document)) {
    // A signed message has an id of its own that says which are the same.
    const takesKey = ['post', 'put', 'patch'].includes(method) && operation['x-permission'] !== 'signature';
    if (takesKey) operation.parameters = withIdempotencyKey(operation);
    operation.responses.default = {
      description: 'A problem (RFC 9457), with a stable code and the request id.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return document;
}

function withIdempotencyKey(operation: Operation): NonNullable<Operation['parameters']> {
  const given = (operation.parameters ?? []).filter(({ name }) => name.toLowerCase() !== 'idempotency-key');
  const answered =
    operation['x-secret-answer'] === true
      ? 'a repetition is told that the secret was shown once (409)'
      : 'a repetition is answered as the first time, for 24 hours';
  return [
    ...given,
    {
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,200}$' },
      description: `Carries the request out once: ${answered}; another request under the same key is a 409.`,
    },
  ];
}

/** Every operation of a document, in the order of its paths. */
export function operationsOf(
  document: ApiDocument,
): { method: Method; path: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ method, path, operation }];
    }),
  );
}
