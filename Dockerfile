# One image for both pools. CUDA by default:
#   docker build -t perennial .
# CPU only, a third of the size; INDEX is PyTorch's package index for CPU builds, named on its "get started" page:
#   docker build -t perennial:cpu --build-arg BASE=python:3.11-slim-bookworm --build-arg PIP_EXTRA_INDEX_URL=INDEX .
ARG BASE=nvidia/cuda:13.0.2-base-ubuntu24.04
FROM ${BASE}

ARG PIP_EXTRA_INDEX_URL=
ENV PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH \
    PERENNIAL_HOME=/app

# Ubuntu 24.04 brings Python 3.12, the slim image its own 3.11. libgomp1 is for LightGBM, git for Prefect's pull steps.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 tini \
    && (command -v python3 && python3 -m venv --help > /dev/null \
        || apt-get install --yes --no-install-recommends python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*

# Dependencies before code, so that a change of code does not install them again.
WORKDIR /app
COPY requirements.lock .
RUN python3 -m venv ${VIRTUAL_ENV} \
    && pip install --quiet --constraint requirements.lock torch==2.13.0 setuptools wheel \
    && pip install --quiet --no-deps --requirement requirements.lock

COPY configs configs
COPY models models
COPY tasks tasks
COPY flows flows
COPY prefect.yaml pyproject.toml ./

RUN useradd --create-home --uid 10001 perennial && mkdir .perennial && chown perennial .perennial
USER perennial
VOLUME /app/.perennial

# A worker runs the flow as its own command; by itself the image lists the flows.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "flows"]
