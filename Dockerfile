# gridproof in a small image without a toolchain: a user of its own, one binary, no shell needed.
#   docker build -t gridproof .
# Base images can be others of the same kind: --build-arg DEBIAN=..., --build-arg RUST=...
ARG DEBIAN=debian:bookworm-slim
ARG RUST=rust:1.95-bookworm

FROM ${DEBIAN} AS runtime
# What is mounted at /devnet takes this owner with it when it is empty.
RUN groupadd --gid 10001 gridproof \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /devnet --shell /usr/sbin/nologin gridproof \
    && install -d -o 10001 -g 10001 -m 0700 /devnet \
    && install -d -o 10001 -g 10001 -m 0755 /targets
USER 10001:10001
WORKDIR /devnet
VOLUME /devnet
ENTRYPOINT ["gridproof"]
CMD ["--help"]

FROM ${RUST} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends clang g++ git libclang-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package gridproof-cli --bin gridproof \
    && strip --output-file=/gridproof target/release/gridproof

FROM runtime AS gridproof
COPY --from=build /gridproof /usr/local/bin/gridproof
