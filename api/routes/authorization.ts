import { createRoute, z } from '@hono/zod-openapi';
import { accessAnswers, authorizationMatrix, type MatrixRow, matrixRoles } from '../authorization.ts';
import { guard } from '../auth.ts';
import type { Api } from '../context.ts';
import { describeApi } from '../document.ts';
import { objectRuleNames } from '../object-rules.ts';
import { answer } from '../schemas.ts';

const answersSchema = z.object({ own: z.enum(accessAnswers), foreign: z.enum(accessAnswers) });

const matrix = createRoute({
  method: 'get',
  path: '/v1/authorization',
  tags: ['access'],
  summary: 'Which role may do what with whose object, for every operation',
  ...guard('authenticated'),
  responses: {
    200: answer(
      'One row for each operation. `scoped` is an example of a custom role: everything that has a target, for some targets.',
      z.object({
        items: z.array(
          z.object({
            operation: z.string(),
            permission: z.string(),
            object: z.enum(objectRuleNames),
            roles: z.record(z.enum(matrixRoles), answersSchema),
          }),
        ),
      }),
    ),
  },
});

export function addAuthorizationRoute(app: Api): void {
  let rows: MatrixRow[] | null = null;

  app.openapi(matrix, (c) => {
    // At the first request, as the last route is registered long after this one.
    rows ??= authorizationMatrix(describeApi(app));
    return c.json({ items: rows }, 200);
  });
}
