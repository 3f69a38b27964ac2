export type ProcessEnvironment = {
  /** STOCKMESH_FAILPOINT: places where a test breaks the running daemon. */
  readonly failpoint: string | undefined;
  readonly isProduction: boolean;
  /** STOCKMESH_STOP_WITH_PARENT=1, set by `npm start`: end when the starter was killed. */
  readonly stopWithParent: boolean;
};

/** The variables that are no part of the configuration file. */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): ProcessEnvironment {
  return {
    failpoint: env['STOCKMESH_FAILPOINT'],
    isProduction: env['NODE_ENV'] === 'production',
    stopWithParent: env['STOCKMESH_STOP_WITH_PARENT'] === '1',
  };
}
