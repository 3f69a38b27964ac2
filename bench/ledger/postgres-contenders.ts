import { Pool } from 'pg';
import type { Attempt } from '../support/closed-loop.ts';
import type { PostgresProcess } from '../support/postgres-process.ts';
import type { Contender } from './contender.ts';

const poolSize = 16;

async function openPool(server: PostgresProcess, table: string): Promise<Pool> {
  const pool = new Pool({
    host: server.socketDir,
    user: server.user,
    database: 'postgres',
    max: poolSize,
  });
  await pool.query(
    `CREATE TABLE IF NOT EXISTS ${table} (sku integer PRIMARY KEY, available bigint NOT NULL);
     CREATE TABLE IF NOT EXISTS ${table}_holds (id bigserial PRIMARY KEY, sku integer NOT NULL, units integer NOT NULL, at timestamptz NOT NULL DEFAULT now())`,
  );
  return pool;
}

async function fill(pool: Pool, table: string, skus: number, units: number): Promise<void> {
  await pool.query(`TRUNCATE ${table}, ${table}_holds`);
  await pool.query(`INSERT INTO ${table} SELECT n, $2 FROM generate_series(0, $1::int - 1) AS n`, [
    skus,
    units,
  ]);
}

async function left(pool: Pool, table: string, sku: number): Promise<number> {
  const { rows } = await pool.query<{ available: string }>(`SELECT available FROM ${table} WHERE sku = $1`, [
    sku,
  ]);
  return Number(rows[0]?.available);
}

/** Row lock, check, update, insert, in one transaction: what an order system does first. */
export async function forUpdate(server: PostgresProcess): Promise<Contender> {
  const table = 'bench_for_update';
  const pool = await openPool(server, table);
  let filled = 0;
  return {
    name: 'PostgreSQL FOR UPDATE',
    async fill(skus, units) {
      filled = units;
      await fill(pool, table, skus, units);
    },
    async take(sku): Promise<Attempt> {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const { rows } = await client.query<{ available: string }>({
          name: 'lock',
          text: `SELECT available FROM ${table} WHERE sku = $1 FOR UPDATE`,
          values: [sku],
        });
        if (Number(rows[0]?.available) < 1) {
          await client.query('ROLLBACK');
          return 'refused';
        }
        await client.query({
          name: 'take',
          text: `UPDATE ${table} SET available = available - 1 WHERE sku = $1`,
          values: [sku],
        });
        await client.query({
          name: 'hold',
          text: `INSERT INTO ${table}_holds (sku, units) VALUES ($1, 1)`,
          values: [sku],
        });
        await client.query('COMMIT');
        return 'ok';
      } finally {
        client.release();
      }
    },
    taken: async (sku) => filled - (await left(pool, table, sku)),
    close: () => pool.end(),
  };
}

/** The best a single statement can do: a conditional update and the insert in one round trip. */
export async function conditionalUpdate(server: PostgresProcess): Promise<Contender> {
  const table = 'bench_conditional';
  const pool = await openPool(server, table);
  let filled = 0;
  return {
    name: 'PostgreSQL one statement',
    async fill(skus, units) {
      filled = units;
      await fill(pool, table, skus, units);
    },
    async take(sku): Promise<Attempt> {
      const { rowCount } = await pool.query({
        name: 'take-one',
        text: `WITH taken AS (UPDATE ${table} SET available = available - 1 WHERE sku = $1 AND available >= 1 RETURNING sku)
               INSERT INTO ${table}_holds (sku, units) SELECT sku, 1 FROM taken`,
        values: [sku],
      });
      return rowCount === 1 ? 'ok' : 'refused';
    },
    taken: async (sku) => filled - (await left(pool, table, sku)),
    close: () => pool.end(),
  };
}
