export declare const exitCodes: {
  readonly ok: number;
  readonly usage: number;
  readonly setupFailed: number;
  readonly redisMissing: number;
};
export declare function isAtLeast(version: string, needed: string): boolean;
export declare function parseServerVersion(
  output: string,
): { name: string; version: string; isSupported: boolean } | undefined;
export declare function redisInstallLine(osRelease: string, platform: string): string;
export declare function namesExternalRedis(yamlText: string): boolean;
export declare function main(argv: readonly string[]): Promise<number>;
