import type { Logger } from 'pino';
import { z } from 'zod';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';
import type { PositionAnswer } from './stock-routes.ts';

export interface LostAnswer {
  readonly id: string;
  readonly kind: string;
  readonly sku: string;
  readonly location: string;
  readonly units: number;
  readonly channel: string;
  readonly reference: string;
}

export interface LedgerAnswer extends PositionAnswer {
  /** Why it takes no commands; null while it does. */
  readonly halted: string | null;
  /** What was seen and is gone. */
  readonly lost: readonly LostAnswer[];
}

export type ReappliedAnswer = LostAnswer & { readonly outcome: string; readonly detail: string };

export interface LedgerPorts {
  ledgerState(): Promise<LedgerAnswer>;
  confirmLoss(actor: string): Promise<readonly ReappliedAnswer[]>;
  verifyLedger(): Promise<object>;
  vaultState(): Promise<object>;
  rotateVault(): Promise<object>;
}

const lossConfirmation = z.strictObject({ actor: z.string().min(1).max(200) });

/** The ledger and the vault as wholes. */
export function ledgerRoutes(ports: LedgerPorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/ledger', scoped('read'), async () => ports.ledgerState());

    let verifying: Promise<object> | undefined;
    app.post('/ledger/verify', scoped('operator'), async () => {
      // It reads everything there is: one at a time, and whoever asks meanwhile gets the same report.
      verifying ??= ports.verifyLedger().finally(() => (verifying = undefined));
      return verifying;
    });

    app.post('/ledger/confirm-loss', scoped('operator'), async (request) => {
      const { actor } = parseInput(lossConfirmation, request.body);
      log.warn({ actor }, 'an operator confirms the loss of ledger entries');
      return { entries: await ports.confirmLoss(actor) };
    });

    app.get('/vault', scoped('operator'), async () => ports.vaultState());

    app.post('/vault/rotate', scoped('operator'), async () => ports.rotateVault());
  };
}
