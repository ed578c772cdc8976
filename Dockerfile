# callwatch, the daemon.   docker build -t callwatch .      With all that belongs to it: compose.yaml.
# Each step is proved without an engine by tests/system/test_image.py, which reads this file.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/callwatch
COPY requirements/ requirements/
# the packages first and alone: they change more rarely than our own files
RUN /opt/callwatch/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/run.txt -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY config/ config/
COPY escalation/ escalation/
COPY monitor/ monitor/
COPY connectors/ connectors/
RUN /opt/callwatch/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/callwatch/bin/pip uninstall --yes --quiet setuptools wheel packaging

FROM python:3.11.13-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="callwatch" \
      org.opencontainers.image.description="Notices the home-care visit that nobody made, and sees it through." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="docs/operations.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# tini: as process 1 a daemon is deaf to SIGTERM until it has installed its handlers, a second after its start
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
RUN groupadd --system --gid 10001 callwatch \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/callwatch --shell /usr/sbin/nologin callwatch \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/callwatch
COPY --from=build /opt/callwatch /opt/callwatch
ENV PATH=/opt/callwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CALLWATCH_DATA_DIR=/var/lib/callwatch
WORKDIR /var/lib/callwatch
# by number, so that a host which refuses root sees that it is none
USER 10001:10001
VOLUME /var/lib/callwatch
EXPOSE 8080
STOPSIGNAL SIGTERM
# is it alive, not is it ready: who restarts what is unhealthy must not end a watch whose disk is full
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "connectors.probe"]
ENTRYPOINT ["/usr/bin/tini", "--", "callwatch"]
CMD ["run", "--config", "/etc/callwatch/callwatch.toml"]
# docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --stop-timeout 20 -p 127.0.0.1:8080:8080 \
#   -v ./callwatch.toml:/etc/callwatch/callwatch.toml:ro -v callwatch:/var/lib/callwatch callwatch
# The configuration says listen = "0.0.0.0:8080". `docker stop` must wait longer than drain_s, hence the 20 s.
