# One executable in a small image. Data is in /data, unless DATABASE_URL says otherwise.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build -- --outfile /parley

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 parley && install -d -o parley -g parley -m 0700 /data
COPY --from=build /parley /usr/local/bin/parley
USER parley
ENV HOST=0.0.0.0 PORT=8080 DATA_DIR=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["parley", "ready"]
# SIGTERM drains for up to ten seconds; give it as long (docker stop does).
STOPSIGNAL SIGTERM
ENTRYPOINT ["parley"]
