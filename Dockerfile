FROM python:3.11-slim

RUN useradd --create-home --uid 1000 lectr && install -d -o lectr -g lectr -m 0700 /data
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements.txt
COPY app app
COPY registry registry
COPY LICENSE THIRD_PARTY.md ./
RUN printf '#!/bin/sh\ncd /app && exec python -m app "$@"\n' > /usr/local/bin/lectr && chmod +x /usr/local/bin/lectr

USER lectr
ENV HOST=0.0.0.0 PORT=8000 LECTR_DATA_DIR=/data PYTHONUNBUFFERED=1
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
CMD ["python", "-m", "app", "serve"]
