# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json nest-cli.json ./
COPY src ./src
COPY bundle.js ./
COPY packages ./packages
RUN npm run build:server && npm run build:console

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/packages/console/dist ./packages/console/dist
COPY package.json ./
# What starts threads at any time is not part of the build.
COPY src/auth/passwords/password-worker.js ./src/auth/passwords/
# The page of the API, for `API_DOCS=true`.
COPY src/platform/api-docs/page ./src/platform/api-docs/page
# The one folder that may be written to; production needs none.
RUN mkdir .data && chown node:node .data
# The user `node` by its number, by which Kubernetes sees that it is not root.
USER 1000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# As start:prod has it: objects of a request die young where there is room for them to.
CMD ["node", "--max-semi-space-size=32", "dist/server/main.js"]
