# syntax=docker/dockerfile:1
# Everything that writes goes to /var/lib/stockmesh and /tmp: the root file system can be mounted read-only.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:24-slim
# The embedded ledger; unused where the configuration names a Redis of its own.
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /var/lib/stockmesh /etc/stockmesh \
 && chown node:node /var/lib/stockmesh \
 && chmod 0700 /var/lib/stockmesh
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY LICENSE ./
ENV NODE_ENV=production \
    STOCKMESH_HEALTH_URL=http://127.0.0.1:8081/readyz
USER node
VOLUME /var/lib/stockmesh
EXPOSE 8080 8081
# Ready means more than alive: Redis answers, the log reader moves, a canary job went through.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.STOCKMESH_HEALTH_URL).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/main.js"]
CMD ["--config", "/etc/stockmesh/stockmesh.yaml"]
