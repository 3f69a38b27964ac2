import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OpenApiDocument } from '../../src/http/openapi/document.ts';
import { anyRequest } from '../http/support/any-request.ts';
import { DaemonUnderTest } from './daemon.ts';

const cli = new URL('../../src/cli.ts', import.meta.url).pathname;

let daemon: DaemonUnderTest;
beforeAll(async () => {
  daemon = await DaemonUnderTest.make({ shops: [] });
  daemon.start();
  await daemon.ready();
});
afterAll(() => daemon.remove());

test('a fuzz run over the OpenAPI document finds no 5xx, and every refusal is a problem with a code', async () => {
  const document = await daemon.get<OpenApiDocument>('/openapi.json');
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => anyRequest(path, method, operation)),
  );
  expect(operations.length).toBeGreaterThan(8);
  const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_129);
  const numRuns = Number(process.env['FUZZ_RUNS'] ?? 300);
  await fc.assert(
    fc.asyncProperty(fc.oneof(...operations), async ({ method, path, headers, body }) => {
      const ask = (): Promise<Response> =>
        fetch(`${daemon.privateUrl}${path}`, {
          method,
          headers,
          ...(body === undefined ? {} : { body }),
          signal: AbortSignal.timeout(20_000),
        });
      let response = await ask();
      // A disk that stands still for seconds keeps the ledger from answering in time: that is to be asked again.
      for (let again = 0; again < 10 && (await isLedgerAway(response)); again++) response = await ask();
      const type = response.headers.get('content-type') ?? '';
      if (type.startsWith('text/event-stream')) {
        await response.body?.cancel();
        return;
      }
      const answer = await response.text();
      expect(response.status, answer).toBeLessThan(500);
      if (response.status < 400) return;
      const { code, outcome } = JSON.parse(answer) as { code?: unknown; outcome?: unknown };
      // The commerce protocols have forms of their own for a refusal, and codes in small letters.
      const isProtocol = /^\/(?:acp|ucp)\//.test(path) && !type.startsWith('application/problem+json');
      expect(code, answer).toMatch(isProtocol ? /^[a-z0-9_]+$/ : /^[A-Z_]+$/);
      if (isProtocol) expect(type).toContain('application/json');
      else if (outcome === undefined) expect(type).toContain('application/problem+json');
    }),
    { seed, numRuns, endOnFailure: true },
  );
  expect(await daemon.findings()).toEqual([]);
  await daemon.ready();
});

async function isLedgerAway(response: Response): Promise<boolean> {
  return response.status === 503 && /"LEDGER_UN(?:REACHABLE|AVAILABLE)"/.test(await response.clone().text());
}

test('the readable page comes from the daemon itself', async () => {
  const response = await fetch(`${daemon.privateUrl}/docs`);
  expect(response.headers.get('content-type')).toContain('text/html');
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await response.text()).toContain('/inventory/v1/reservations');
});

test('stockmesh mcp speaks to an agent over standard input and output', async () => {
  const client = new Client({ name: 'test', version: '0' });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [cli, 'mcp', '--config', daemon.configPath],
    stderr: 'pipe',
  });
  await client.connect(transport);
  try {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('reserve_stock');
    const asked = {
      name: 'reserve_stock',
      arguments: { lines: [{ sku: 'NOWHERE', quantity: 1 }], agent_id: 'a-1' },
    };
    const denied = await client.callTool(asked);
    expect(denied.structuredContent).toMatchObject({ outcome: 'denied', sku: 'NOWHERE' });
  } finally {
    await client.close();
  }
});
