import { z } from '@hono/zod-openapi';
import { dependenciesInput } from '../probe-dependencies.ts';
import { line } from '../schemas.ts';
import { httpUrl } from '../web-address.ts';

export const probeMethods = ['GET', 'HEAD', 'POST'] as const;

const secretHeader = /authorization|cookie|api-?key|token|secret|password|credential|signature/i;
const framingHeader =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*)$/i;

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'is not a header name')
  .refine((name) => !secretHeader.test(name), 'looks like a secret, and secrets do not belong in a record')
  .refine((name) => !framingHeader.test(name), 'is set by the sender itself');

export const probeInput = z
  .strictObject({
    name: line(120),
    method: z.enum(probeMethods).default('GET'),
    url: httpUrl,
    headers: z
      .record(
        headerName,
        z
          .string()
          .max(2000)
          .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'is not a header value'),
      )
      .refine((headers) => Object.keys(headers).length <= 50, 'has more than 50 headers')
      .default({}),
    body: z
      .string()
      .max(64 * 1024)
      .optional(),
    assertions: z
      .strictObject({
        statusFrom: z.number().int().min(100).max(599).default(200),
        statusTo: z.number().int().min(100).max(599).default(299),
        maxLatencyMs: z.number().int().min(1).max(60_000).optional(),
        bodyIncludes: z.string().min(1).max(2000).optional(),
      })
      .refine(({ statusFrom, statusTo }) => statusFrom <= statusTo, 'statusFrom is above statusTo')
      .default({ statusFrom: 200, statusTo: 299 }),
    timeoutMs: z.number().int().min(100).max(60_000).default(10_000),
    intervalSeconds: z.number().int().min(5).max(86_400).optional(),
    allowPrivateNetwork: z.boolean().default(false),
    /** Ids or names of probes whose endpoints this one's cannot do without. */
    dependsOn: dependenciesInput.default([]),
  })
  .refine(({ method, body }) => body === undefined || method === 'POST', {
    path: ['body'],
    message: 'only POST has a body',
  });
