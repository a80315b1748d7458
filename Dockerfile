# The wheel is built apart, so that no build tool is in the image.
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --wheel-dir /wheels /source

FROM python:3.13-slim
# ca-certificates: the system's trusted roots, against which registries are verified.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels registryproxy \
    # Twisted writes its list of plugins once, here, for nobody may write there later.
    && twistd --help >/dev/null
# Where the seed has them.
ENV CACHE_DIR=/docker_mirror_cache CA_DIR=/ca PYTHONUNBUFFERED=1
VOLUME /docker_mirror_cache /ca
EXPOSE 3128
STOPSIGNAL SIGTERM
CMD ["twistd", "--nodaemon", "--pidfile=", "registryproxy"]
