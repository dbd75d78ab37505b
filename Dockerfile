# One image for both pools. CUDA by default:
#   docker build -t perennial .
# CPU only, a third of the size; INDEX is PyTorch's package index for CPU builds, named on its "get started" page:
#   docker build -t perennial:cpu --build-arg BASE=python:3.11-slim-bookworm --build-arg PIP_EXTRA_INDEX_URL=INDEX .
#
# torch's wheel brings its own CUDA libraries, of CUDA 13.0: NVIDIA's smallest image, `base`, is enough. What it adds is
# the environment by which the container runtime hands the GPU in, and refuses a driver that is too old.
ARG BASE=nvidia/cuda:13.0.2-base-ubuntu24.04
FROM ${BASE}

ARG PIP_EXTRA_INDEX_URL=
ENV PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PERENNIAL_HOME=/app \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH

# Ubuntu 24.04 brings Python 3.12, the slim image its own 3.11. libgomp1 is for LightGBM. Asking for ensurepip, and not
# for venv, finds a Debian python3 that cannot make an environment with pip in it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 tini \
    && (python3 -c "import ensurepip" || apt-get install --yes --no-install-recommends python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*

# Dependencies before code, so that a change of code does not install them again. torch first and with its
# dependencies, which are its CUDA libraries; the rest exactly as locked.
WORKDIR /app
COPY requirements.lock .
RUN python3 -m venv ${VIRTUAL_ENV} \
    && pip install --quiet --constraint requirements.lock torch==2.13.0 setuptools==84.2.1 \
    && pip install --quiet --no-deps --requirement requirements.lock

COPY configs configs
COPY models models
COPY tasks tasks
COPY flows flows
COPY prefect.yaml pyproject.toml ./

# The code stays root's. A bind mount over .perennial must be writable for user 10001; a named volume is.
RUN useradd --create-home --uid 10001 perennial && mkdir .perennial && chown perennial .perennial
USER perennial
# A Prefect server of this image puts the pages of its UI where it may write: by default that is beside its code.
ENV PREFECT_UI_STATIC_DIRECTORY=/home/perennial/prefect-ui
VOLUME /app/.perennial

# A worker runs the flow as its own command; by itself the image lists the flows.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "flows"]
