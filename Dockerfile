# One image for every service; docker-compose.yml says which one a container runs.
FROM node:22.23.3-bookworm-slim AS manifests
WORKDIR /app
COPY . .
# Dependencies are installed anew only when a manifest changes, not with every change of the code.
RUN find . -type f ! -name package.json ! -name package-lock.json -delete && find . -type d -empty -delete

FROM node:22.23.3-bookworm-slim AS dependencies
WORKDIR /app
COPY --from=manifests /app ./
# No install scripts: native parts come as prebuilt packages, and Node itself is in the image.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22.23.3-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app ./
COPY schemas ./schemas
COPY packages ./packages
COPY services ./services
RUN ln -s /app/packages/cli/src/main.ts /usr/local/bin/tidemark && install -d -o node -g node /data
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tidemark"]
CMD ["up", "--config", "/etc/tidemark/tidemark.yaml", "--data", "/data", "--no-feed"]
