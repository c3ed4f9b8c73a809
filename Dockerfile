# syncengine: one image for every process; which one it is, the command says (docker-compose.yml).

FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/syncengine
ENV PATH=/opt/syncengine/bin:$PATH
COPY pyproject.toml README.md celeryconfig.py ./
COPY syncengine ./syncengine
RUN pip install --no-cache-dir ".[server]"

FROM python:3.12-slim
# 10001: no user of the host. The data folder holds the key file where SYNCENGINE_KEYS is not set, and beat's schedule.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin syncengine \
    && install --directory --owner=syncengine --group=syncengine --mode=0700 /var/lib/syncengine
COPY --from=build /opt/syncengine /opt/syncengine
ENV PATH=/opt/syncengine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SYNCENGINE_HOME=/var/lib/syncengine
USER syncengine
WORKDIR /home/syncengine
VOLUME /var/lib/syncengine
ENTRYPOINT []
CMD ["syncengine", "--help"]
