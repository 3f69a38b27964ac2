import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load-config.ts';
import { repository, readProjectFile } from '../style/source-tree.ts';

type Service = {
  readonly build?: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly networks?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};
type Compose = {
  readonly services: Readonly<Record<'stockmesh' | 'valkey', Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
};

const compose = parse(readProjectFile('compose.yaml')) as Compose;
const stages = readProjectFile('Dockerfile')
  .replaceAll(/\\\n/g, ' ')
  .split(/^(?=FROM )/m)
  .slice(1)
  .map((stage) => stage.split('\n').filter((line) => line !== '' && !line.startsWith('#')));

function instruction(stage: readonly string[] | undefined, name: string): readonly string[] {
  return (stage ?? [])
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length + 1).trim());
}

test('the image runs as nobody special, checks readiness and keeps its shell out of the way of signals', () => {
  const last = stages.at(-1);
  expect(stages.every((stage) => (stage[0] ?? '').startsWith('FROM node:24-slim'))).toBe(true);
  expect(instruction(last, 'USER')).toEqual(['node']);
  expect(instruction(last, 'HEALTHCHECK').join()).toMatch(/CMD \["node", .*STOCKMESH_HEALTH_URL/);
  expect(instruction(last, 'ENV').join()).toContain('/readyz');
  // The exec form: a shell as process 1 would not pass SIGTERM on.
  expect(instruction(last, 'ENTRYPOINT')).toEqual(['["node", "dist/main.js"]']);
  expect(instruction(last, 'RUN').join()).toContain('redis-server');
});

test('what the image copies is what the ignore file lets through', () => {
  const allowed = readProjectFile('.dockerignore')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = stages
    .flatMap((stage) => instruction(stage, 'COPY'))
    .filter((line) => !line.startsWith('--from'))
    .flatMap((line) => line.split(' ').slice(0, -1));
  expect(copied.toSorted()).toEqual(allowed.toSorted());
});

test('compose gives Valkey the settings the daemon insists on, and nobody else a way to it', () => {
  const { valkey, stockmesh } = compose.services;
  const flags = valkey.command ?? [];
  const flag = (name: string): string | undefined => flags[flags.indexOf(`--${name}`) + 1];
  expect(flag('appendonly')).toBe('yes');
  expect(flag('appendfsync')).toBe('always');
  expect(flag('no-appendfsync-on-rewrite')).toBe('no');
  expect(flag('maxmemory-policy')).toBe('noeviction');
  expect(flag('save')).toBe('');
  expect(valkey.healthcheck?.test).toContain('ping');
  expect(valkey.ports).toBeUndefined();
  expect(valkey.networks).toEqual(['ledger']);
  expect(compose.networks['ledger']?.internal).toBe(true);
  expect(stockmesh.ports).toEqual(['8080:8080']);
});

test('both services run with a read-only root and without capabilities', () => {
  for (const service of Object.values(compose.services)) {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
  }
});

test('the configuration for compose loads with what compose passes on', () => {
  const passed = Object.keys(compose.services.stockmesh.environment ?? {}).map(
    (name) => [name, 'x'] as const,
  );
  const config = loadConfig(join(repository, 'config/stockmesh.compose.yaml'), Object.fromEntries(passed));
  expect(config.redis.url).toBe('redis://valkey:6379');
  expect(config.dataDir).toBe('/var/lib/stockmesh');
});
