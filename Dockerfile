# The broker and its command line, for `docker build`, `podman build` or `buildah bud`.
# deploy/README.md says how to run it; deploy/compose.yaml is a whole example.

# Both are Debian 12: the Node that is copied from the first runs in the second.
ARG NODE_IMAGE=node:24.22.3-bookworm-slim
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY packages/node/package.json packages/node/
COPY packages/sdk/package.json packages/sdk/
# No scripts: native modules are in their packages, and the sources that `prepare` builds are not here yet.
# No workspaces: they are the SDK and a Node, which this image has.
RUN npm ci --ignore-scripts --workspaces=false
COPY tsconfig.json tsconfig.page.json ./
COPY scripts/ scripts/
COPY src/ src/
# Types are checked before a release, not here.
RUN npm run build -- --noCheck \
 && npm prune --ignore-scripts --omit=dev --omit=optional \
 && node scripts/prune-modules.mjs node_modules \
 && chmod 0755 dist/main.js

FROM ${BASE_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 5580 majordomo \
 && useradd --uid 5580 --gid 5580 --no-create-home --home-dir /var/lib/majordomo \
      --shell /usr/sbin/nologin majordomo \
 && install --directory --owner=majordomo --group=majordomo --mode=0700 /var/lib/majordomo \
 && ln -s /opt/majordomo/dist/main.js /usr/local/bin/majordomo
# Only Node: the image has no package manager.
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /build/package.json /opt/majordomo/package.json
COPY --from=build /build/node_modules/ /opt/majordomo/node_modules/
COPY --from=build /build/dist/ /opt/majordomo/dist/
COPY --chmod=0644 LICENSE /opt/majordomo/LICENSE
COPY --chmod=0644 deploy/container/majordomo.yaml /etc/majordomo/majordomo.yaml

ENV NODE_ENV=production \
    # Memory of a peak goes back to the system: glibc keeps one more arena for each thread otherwise.
    MALLOC_ARENA_MAX=2 \
    # The listener without keys, for commands in the container. Whatever else names a broker takes precedence.
    MAJORDOMO_URL=tcp://127.0.0.1:5556
# A number, so that Kubernetes can check that it is not root.
USER 5580:5580
WORKDIR /var/lib/majordomo
VOLUME /var/lib/majordomo
# Clients and workers; health, metrics, API and page; the other node of a pair.
EXPOSE 5555 5580 5590
STOPSIGNAL SIGTERM
# Checks alive, not ready: the passive node of a pair is healthy, and restarting it would not help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "require('node:http').get('http://127.0.0.1:5580/livez', ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "majordomo"]
CMD ["serve", "--init", "-c", "/etc/majordomo/majordomo.yaml"]

LABEL org.opencontainers.image.title="majordomo-broker" \
      org.opencontainers.image.description="A Majordomo (7/MDP, 18/MDP) and Titanic (9/TSP) broker for ZeroMQ" \
      org.opencontainers.image.licenses="MPL-2.0"
