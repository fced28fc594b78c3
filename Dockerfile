# syntax=docker/dockerfile:1
# The server with its models, for use without network: docker compose up, or docker build -t emoscope .
FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/emoscope
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
RUN /opt/emoscope/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve]"
ENV EMOSCOPE_CACHE=/opt/emoscope/models
# Fetched by the product itself, which checks the hash here and at each start.
RUN /opt/emoscope/bin/emoscope models --fetch

FROM python:3.11-slim
# Numbers rather than names: platforms that insist on users other than root can tell only these.
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/emoscope /opt/emoscope
# Uploads under way lie on the volume: the root may be read-only, and /tmp may be memory.
ENV PATH=/opt/emoscope/bin:$PATH \
    EMOSCOPE_CACHE=/opt/emoscope/models \
    HOME=/tmp \
    OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
# Others can reach it, so it does not start without EMOSCOPE_TOKEN.
ENTRYPOINT ["emoscope", "serve", "--host", "0.0.0.0", "--port", "8000", "--data", "/data"]
