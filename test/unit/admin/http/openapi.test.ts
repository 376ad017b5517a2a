import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { openApi, openApiFile } from '../../../../src/admin/http/openapi.js';
import type { Route } from '../../../../src/admin/http/route.js';
import type { Access } from '../../../../src/admin/api/operation.js';
import { allRoutes } from '../../../support/http-ports.js';
import { type Schema, violations } from '../../../support/json-schema.js';
import { type Operation, OPERATIONS, undescribed } from '../../../support/openapi.js';

const SECURITY: Readonly<Record<Access, readonly Schema[]>> = {
  open: [],
  reader: [{}, { read: [] }, { operate: [] }],
  bearer: [{ read: [] }, { operate: [] }],
  changer: [{ operate: [] }],
  requester: [{ request: [] }],
};

/** The properties of a route that are compared. */
interface Row {
  readonly key: string;
  readonly parameters: readonly string[];
  readonly parts: readonly string[];
  readonly security: readonly Schema[];
}

function ofRoute({ method, path, access, parameters }: Route): Row {
  return {
    key: `${method} ${path}`,
    parameters: [...parameters].sort(),
    parts: Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => name).sort(),
    security: SECURITY[access],
  };
}

function ofOperation(path: string, method: string, operation: Operation): Row {
  const named = (place: string): string[] =>
    (operation.parameters ?? [])
      .filter((each) => each.in === place)
      .map(({ name }) => name)
      .sort();
  return {
    key: `${method.toUpperCase()} ${path}`,
    parameters: named('query'),
    parts: named('path'),
    security: operation.security,
  };
}

const byKey = (left: Row, right: Row): number => (left.key < right.key ? -1 : 1);

describe('the description of the API', () => {
  it('has exactly the routes, with their parameters and access', async () => {
    const described = Object.entries(OPERATIONS).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ofOperation(path, method, operation)),
    );
    const served = (await allRoutes()).map(ofRoute);
    expect(described.sort(byKey)).toEqual(served.sort(byKey));
  });

  it('equals docs/openapi.json (if not: npm run docs)', () => {
    const file = readFileSync(join(process.cwd(), 'docs', 'openapi.json'), 'utf8');
    expect(file).toBe(openApiFile());
  });

  it('has no dangling reference and no unused schema', () => {
    const document = openApi('0.0.0') as { components: { schemas: object } };
    const text = JSON.stringify(document);
    const used = Array.from(text.matchAll(/"#\/components\/schemas\/(\w+)"/g), ([, name]) => name);
    expect(new Set(used)).toEqual(new Set(Object.keys(document.components.schemas)));
  });
});

describe('the check of answers against it, which all tests over HTTP use', () => {
  const get = (path: string, status: number, json: unknown): string[] =>
    undescribed({ method: 'GET', path, status, type: 'application/json; charset=utf-8', json });

  it('finds fields that are missing or unknown, and wrong types and statuses', () => {
    const ready = { ready: true, reason: null, degraded: [] };
    expect(get('/readyz', 200, ready)).toEqual([]);
    expect(get('/readyz', 200, { ...ready, ready: false })).toHaveLength(1);
    expect(get('/readyz', 200, { ...ready, more: 1 })).toHaveLength(1);
    expect(get('/readyz', 200, { ready: true, reason: null })).toHaveLength(1);
    expect(get('/readyz', 200, { ...ready, degraded: [{ code: 1, text: '' }] })).toHaveLength(1);
    expect(get('/readyz', 204, ready)).toHaveLength(1);
    expect(get('/nothing', 404, { message: 'gone' })).not.toEqual([]);
    expect(get('/nothing', 404, { error: { code: 'E', message: 'gone' } })).toEqual([]);
  });

  it('finds values outside of choices and bounds, and invalid times', () => {
    const holds = (schema: Schema, value: unknown): boolean =>
      violations(schema, value, {}).length === 0;
    expect(holds({ type: 'integer', minimum: 0 }, -1)).toBe(false);
    expect(holds({ type: 'string', enum: ['a'] }, 'b')).toBe(false);
    expect(holds({ type: 'string', format: 'date-time' }, '2026-01-02T03:04:05.006Z')).toBe(true);
    expect(holds({ anyOf: [{ type: 'string' }, { type: 'null' }] }, 3)).toBe(false);
    expect(holds({ type: 'string', pattern: '^[0-9A-F]{32}$' }, 'x')).toBe(false);
    expect(() => holds({ minLength: 3 }, 'x')).toThrow('minLength');
  });
});
