import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/redis-global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Against hanging only: a start of the daemon takes seconds, and a busy machine several times that.
    testTimeout: 150_000,
    hookTimeout: 150_000,
    expect: { poll: { timeout: 20_000, interval: 20 } },
  },
});
