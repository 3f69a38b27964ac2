import { hkdfSync } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Config } from '../config/configuration.ts';
import { type RotationReport, Vault, type VaultOptions, type VaultState } from '../mesh/vault.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import { masterKeys } from './master-key.ts';

export interface VaultPart {
  readonly vault: Vault;
  /** Keys made from the master keys for another purpose than the vault: the first is for making, all are for checking. */
  derivedKeys(purpose: string): readonly Buffer[];
  state(): Promise<VaultState>;
  /** One at a time; whoever asks meanwhile gets the same report. */
  rotate(): Promise<RotationOutcome>;
}

export type RotationOutcome = RotationReport & {
  /** Everything is under the sealing key: earlier master keys are not needed any more. */
  readonly isComplete: boolean;
};

export interface VaultPartOptions {
  readonly config: Pick<Config, 'merchant' | 'dataDir' | 'masterKey' | 'otherMasterKeys'>;
  readonly redis: Redis;
  readonly key: string;
  readonly scripts: VaultOptions['scripts'];
  readonly redactor: Redactor;
  readonly log: Logger;
}

/** A write that was under way when the key changed lands a moment later: the next round finds it. */
const maxRounds = 5;

/** The vault with its master keys, checked: throws when it holds what none of them opens. */
export async function openVault(options: VaultPartOptions): Promise<VaultPart> {
  const { config, redis, key, scripts, redactor, log } = options;
  const keys = await masterKeys(config.dataDir, config.masterKey, config.otherMasterKeys);
  for (const secret of [keys.sealing, ...keys.opening]) redactor.keep(secret);
  const vault = new Vault({ ...keys, merchant: config.merchant, redis, key, scripts });
  await vault.check();
  const state = await vault.state();
  const behind = state.records.filter((record) => record.key !== state.sealingKey).length;
  if (behind > 0) log.warn({ behind }, 'the vault has records of an earlier master key: run vault rotate');

  async function rotate(): Promise<RotationOutcome> {
    const successor = await keys.kept?.successor();
    if (successor !== undefined) {
      redactor.keep(successor);
      vault.sealWith(successor);
    }
    let report = await vault.rotate();
    let { rewrapped } = report;
    const { already } = report;
    for (let round = 1; report.rewrapped > 0 && round < maxRounds; round++) {
      report = await vault.rotate();
      rewrapped += report.rewrapped;
    }
    // The old key goes only when nothing is left that it alone could open.
    const isComplete = report.rewrapped === 0 && report.unreadable.length === 0;
    if (isComplete) await keys.kept?.retire();
    log.warn({ rewrapped, already, unreadable: report.unreadable, isComplete }, 'the vault was rotated');
    return { ...report, rewrapped, already, isComplete };
  }

  let rotating: Promise<RotationOutcome> | undefined;
  return {
    vault,
    derivedKeys: (purpose) =>
      [keys.sealing, ...keys.opening].map((master) =>
        Buffer.from(hkdfSync('sha256', master.reveal(), config.merchant, purpose, 32)),
      ),
    state: () => vault.state(),
    rotate() {
      rotating ??= rotate().finally(() => (rotating = undefined));
      return rotating;
    },
  };
}
