# arbot in a container: built from the lock file's hashes, run as nobody in particular on a root nobody can write to.
#
#   docker build -t arbot .
#   docker run --rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges arbot
#
# Everything that pip installs is pinned by hash. The base image is pinned by digest once you have let your own engine
# resolve it (`config/container/pin-images`), for a digest that nobody has fetched is no pin: docs/guide/operations.md.
# Python 3.11 because that is what every test of arbot runs on.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
WORKDIR /src
RUN python3 -m venv /opt/arbot
COPY requirements.lock requirements-dev.lock ./
# The driver of PostgreSQL is an extra; its hashes are in the lock file of the tests.
RUN awk '/^[a-z]/ { take = /^psycopg/ } take' requirements-dev.lock > postgres.lock \
    && /opt/arbot/bin/pip install --require-hashes -r requirements.lock \
    && /opt/arbot/bin/pip install --require-hashes --no-deps -r postgres.lock
COPY pyproject.toml README.md LICENSE ./
COPY arbot arbot
COPY strategies strategies
# Compiled here, beside the sources: a start takes a copy of it to its /tmp instead of compiling for half a minute. Compiled
# code knows its source by the time it was written, of which a layer keeps whole seconds only. -P: not the sources in /src.
RUN /opt/arbot/bin/pip install --no-deps --no-build-isolation . \
    && find /opt/arbot/lib -path '*/site-packages/arbot/*' -name '*.py' -exec touch --date=@1767225600 {} + \
    && /opt/arbot/bin/python -P -c 'import arbot.runtime.modes; from arbot.market.books import warm_up; warm_up()' \
    && /opt/arbot/bin/python -m compileall -q /opt/arbot/lib \
    && /opt/arbot/bin/pip uninstall --yes --quiet pip setuptools wheel

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="arbot" \
      org.opencontainers.image.description="Cross-exchange crypto arbitrage that respects the steamroller" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 arbot \
    && useradd --uid 10001 --gid arbot --home-dir /var/lib/arbot --no-create-home --shell /usr/sbin/nologin arbot \
    && install --directory --owner=arbot --group=arbot --mode=0700 /var/lib/arbot
COPY --from=build /opt/arbot /opt/arbot
COPY config/container/arbot.toml /etc/arbot/arbot.toml
# A fault that the interpreter dies of is told with the place where every thread stood.
ENV PATH=/opt/arbot/bin:$PATH \
    ARBOT_CONFIG=/etc/arbot/arbot.toml \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1
USER 10001:10001
WORKDIR /var/lib/arbot
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["arbot", "healthcheck"]
ENTRYPOINT ["arbot"]
CMD ["demo", "--json"]
