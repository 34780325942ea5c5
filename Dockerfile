# scprism on the CPU. Data are mounted at /data:
#   docker build -t scprism .
#   docker run --rm -v "$PWD:/data" scprism scprism run reference.h5ad query.h5ad --labels cell_type --out results
FROM python:3.12-slim

# The usual torch brings gigabytes of CUDA libraries. Give the index of its CPU builds, as PyTorch's page names it, for a
# small image: docker build --build-arg TORCH_INDEX=… .
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.6,<2.14"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir ".[tune,parquet]" && rm -rf /src/*

ENV NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
CMD ["scprism", "--help"]
