# callwatch, the daemon. Build: docker build -t callwatch .   Run: see the end.
FROM python:3.11-slim AS build
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

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/callwatch --create-home callwatch
COPY --from=build /opt/callwatch /opt/callwatch
ENV PATH=/opt/callwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CALLWATCH_DATA_DIR=/var/lib/callwatch
USER callwatch
VOLUME /var/lib/callwatch
EXPOSE 8080
STOPSIGNAL SIGTERM
# Away from loopback /healthz asks for an operator's token: put it into the file. Without one a refusal (401) still
# proves that the loop answers, and no more than that.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "\
import pathlib, sys, urllib.error, urllib.request as web\n\
secret = pathlib.Path('/run/secrets/callwatch_operator')\n\
headers = {'Authorization': 'Bearer ' + secret.read_text().strip()} if secret.exists() else {}\n\
try:\n\
    web.urlopen(web.Request('http://127.0.0.1:8080/healthz', headers=headers), timeout=4)\n\
except urllib.error.HTTPError as error:\n\
    sys.exit(error.code != 401 or bool(headers))\n\
except OSError:\n\
    sys.exit(1)\n\
"]
ENTRYPOINT ["callwatch"]
CMD ["run", "--config", "/etc/callwatch/callwatch.toml"]
# docker run -v ./callwatch.toml:/etc/callwatch/callwatch.toml:ro -v callwatch:/var/lib/callwatch -p 8080:8080 callwatch
# The configuration says listen = "0.0.0.0:8080". Give `docker stop` longer than drain_s: --stop-timeout 20.
