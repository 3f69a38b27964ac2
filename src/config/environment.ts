export type ProcessEnvironment = {
  /** STOCKMESH_FAILPOINT: places where a test breaks the running daemon. */
  readonly failpoint: string | undefined;
  readonly isProduction: boolean;
};

/** The variables that are no part of the configuration file. */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): ProcessEnvironment {
  return { failpoint: env['STOCKMESH_FAILPOINT'], isProduction: env['NODE_ENV'] === 'production' };
}
