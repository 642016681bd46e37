import { describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { describeApi, operationsOf } from '../../api/document.ts';
import { builtInRoles, permissionsOf } from '../../domain/access.ts';
import { createTestApi, noDatabase, type Untyped } from '../support/api.ts';
import { permissionTable } from './permission-table.ts';

const { call, deps } = createTestApi(noDatabase);
const app = createApp(deps);
const operations = operationsOf(describeApi(app)).map(({ method, path, operation }) => ({
  name: `${method.toUpperCase()} ${path}`,
  operation,
}));

describe('the document', () => {
  test('is OpenAPI 3.1 and open to anyone', async () => {
    const { status, body } = await call('GET', '/openapi.json');
    expect(status).toBe(200);
    expect(body.openapi).toBe('3.1.0');
  });

  test('TRUST 4.39: has every route of the code, and the code every route of the document', () => {
    const undocumented = new Set(['GET /openapi.json', 'GET /docs']);
    const inCode = app.routes
      .filter(({ method, path }) => method !== 'ALL' && !path.includes('*'))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
      .filter((name) => !undocumented.has(name));
    expect([...new Set(inCode)].sort()).toEqual(operations.map(({ name }) => name).sort());
  });

  test('says of every operation what it does, who may call it and how it can fail', () => {
    for (const { name, operation } of operations) {
      expect(operation.summary, name).toMatch(/\S/);
      expect(operation['x-permission'], name).toMatch(/\S/);
      expect(operation.responses, name).toHaveProperty('default');
    }
  });

  test('refuses unknown members of every body', () => {
    const open: string[] = [];
    for (const { name, operation } of operations) {
      const schema = operation.requestBody?.content?.['application/json']?.schema as Untyped;
      for (const each of schema === undefined ? [] : (schema.oneOf ?? schema.anyOf ?? [schema])) {
        const object = each.type === 'array' ? each.items : each;
        if (object.additionalProperties !== false) open.push(name);
      }
    }
    expect(open).toEqual([]);
  });
});

describe('permissions', () => {
  test('the table names every operation and no other', () => {
    expect(Object.keys(permissionTable).sort()).toEqual(operations.map(({ name }) => name).sort());
  });

  test.each(operations)('$name is open to the roles of the table', ({ name, operation }) => {
    const permission = operation['x-permission'];
    if (permission === 'public') {
      expect(permissionTable[name]).toBe('public');
      return;
    }
    const allowed =
      permission === 'authenticated'
        ? builtInRoles
        : builtInRoles.filter((role) =>
            permissionsOf(role).some((held) => String(permission).split(' or ').includes(held)),
          );
    expect([...allowed].sort()).toEqual([...(permissionTable[name] as string[])].sort());
  });
});

describe('the reference page', () => {
  test('loads nothing: neither scripts nor anything from another host', async () => {
    const { status, body, headers } = await call('GET', '/docs');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch('text/html');
    expect(body).not.toMatch(/<script|<link|<img|src=|https?:\/\//);
    expect(body).toContain('/v1/approvals/{id}/decision');
  });
});
