import { shown, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

export const ledgerVerb: Verb = {
  name: 'ledger',
  usage: [
    ['ledger', 'whether the ledger is halted, and for which lost entries'],
    ['ledger verify', 'archive and log against the state; exit code 1 when they differ'],
    ['ledger confirm-loss', 'accept the loss; what no platform can send again is put back'],
  ],
  run: (context) => {
    const { daemon, args, actor } = context;
    if (args.length > 1) return undefined;
    switch (args[0]) {
      case undefined:
        return shown(daemon.get('/ledger'));
      case 'verify':
        return verify(context);
      case 'confirm-loss':
        return shown(daemon.post('/ledger/confirm-loss', { actor }));
      default:
        return undefined;
    }
  },
};

export const vaultVerb: Verb = {
  name: 'vault',
  usage: [
    ['vault', 'which master key seals the stored credentials (ids, never keys)'],
    [
      'vault rotate',
      'put every stored credential under the current master key, or under a new one where the key\n' +
        'is kept in the data directory; exit code 1 unless all of them are',
    ],
  ],
  run: (context) => {
    const [action, ...more] = context.args;
    if (action === undefined) return shown(context.daemon.get('/vault'));
    return action === 'rotate' && more.length === 0 ? rotate(context) : undefined;
  },
};

async function verify({ daemon }: VerbContext): Promise<VerbAnswer> {
  const result = await daemon.post<{ findings: readonly unknown[] }>('/ledger/verify');
  return { result, isFinding: result.findings.length > 0 };
}

async function rotate({ daemon }: VerbContext): Promise<VerbAnswer> {
  const result = await daemon.post<{ isComplete: boolean }>('/vault/rotate');
  return { result, isFinding: !result.isComplete };
}
