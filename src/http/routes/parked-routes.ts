import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { ParkedEntry } from '../../ledger/contract.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface ParkedPorts {
  parked(limit: number, after: string | undefined): Promise<readonly ParkedEntry[]>;
  parkedCount(): Promise<number>;
  retryParked(id: string): Promise<'retried' | 'gone'>;
  discardParked(id: string): Promise<void>;
}

const page = z.object({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  after: z.string().max(600).optional(),
});
const parkedAction = z.strictObject({ id: z.string().min(1).max(600) });

/** What is set aside, and what a person does with it. */
export function parkedRoutes(ports: ParkedPorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/parked', scoped('read'), async (request) => {
      const { limit, after } = parseInput(page, request.query);
      const rows = await ports.parked(limit, after);
      return {
        total: await ports.parkedCount(),
        rows: rows.map((row) => ({ ...row, content: jsonOrText(row.content) })),
        next: rows.length === limit ? rows.at(-1)?.id : undefined,
      };
    });

    app.post('/parked/retry', scoped('operator'), async (request) => {
      const { id } = parseInput(parkedAction, request.body);
      const outcome = await ports.retryParked(id);
      if (outcome === 'gone') throw new StockmeshError('HTTP_NOT_FOUND', {});
      return { id, outcome };
    });

    app.post('/parked/discard', scoped('operator'), async (request) => {
      const { id } = parseInput(parkedAction, request.body);
      await ports.discardParked(id);
      log.warn({ id }, 'an operator discarded a parked row');
      return { id, outcome: 'discarded' };
    });
  };
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
