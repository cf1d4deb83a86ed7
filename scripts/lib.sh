# Shared by the scripts of this folder: where build output goes, and what has to be installed first.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/gridproof
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
mkdir -p "$CARGO_TARGET_DIR" "$CACHE/tools"
cd "$ROOT"

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$1" >&2; [ -n "${2:-}" ] && printf ' hint: %s\n' "$2" >&2; exit 1; }

# need_packages COMMAND-OR-FILE=PACKAGE ...: installs the Debian packages of what is missing.
need_packages() {
    local missing=() pair probe package
    for pair in "$@"; do
        probe=${pair%%=*} package=${pair#*=}
        case $probe in
            */*) compgen -G "$probe" >/dev/null || missing+=("$package") ;;
            *) command -v "$probe" >/dev/null || missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    say "installing ${missing[*]}"
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    if ! command -v apt-get >/dev/null || { [ -n "$sudo" ] && ! sudo -n true 2>/dev/null; }; then
        fail "missing: ${missing[*]}" "install these packages (Debian names), for instance: apt-get install ${missing[*]}"
    fi
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building needs: a C++ compiler for RocksDB, libclang for its bindings.
need_build_tools() {
    [ "$(uname -m)" = x86_64 ] || fail "engine class 1 is defined for x86-64 machines, this one is $(uname -m)" "run on an x86-64 machine"
    local get="install Rust $(toolchain) or later, for instance with rustup (https://rustup.rs)" found
    command -v cargo >/dev/null || fail "cargo is missing" "$get"
    # rustup takes the version of rust-toolchain.toml by itself; a distribution's cargo is what it is.
    if ! command -v rustup >/dev/null; then
        found=$(rustc --version | cut -d ' ' -f 2)
        [ "$(printf '%s\n' "$(toolchain)" "$found" | sort -V | head -n 1)" = "$(toolchain)" ] || fail "Rust $found is too old" "$get"
    fi
    need_packages git=git g++=g++ make=make clang=clang '/usr/lib/llvm-*/lib/libclang.so*=libclang-dev'
}

# What the example programs need: clang's WebAssembly target with a C library.
need_wasm_tools() {
    need_packages clang=clang wasm-ld=lld '/usr/lib/wasm32-wasi/libc.a=wasi-libc' \
        '/usr/lib/llvm-*/lib/clang/*/lib/wasi*/libclang_rt.builtins-wasm32.a=libclang-rt-dev-wasm32'
}

toolchain() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

# RocksDB's C++ is more than half of a cold build. Its archive is kept beside the target folder and used by later
# target folders; a target folder that built its own keeps using that, since switching would build again.
use_kept_rocksdb() {
    local version kept
    version=$(sed -n '/^name = "librocksdb-sys"/{n;s/^version = "\(.*\)"/\1/p}' Cargo.lock)
    kept=$CACHE/rocksdb/$version-$(uname -m)
    if [ -e "$CARGO_TARGET_DIR/.rocksdb-kept" ] || { [ -e "$kept/librocksdb.a" ] && ! compgen -G "$CARGO_TARGET_DIR/*/build/librocksdb-sys-*" >/dev/null; }; then
        [ -e "$kept/librocksdb.a" ] || { rm -f "$CARGO_TARGET_DIR/.rocksdb-kept"; return 0; }
        touch "$CARGO_TARGET_DIR/.rocksdb-kept"
        export ROCKSDB_LIB_DIR=$kept ROCKSDB_STATIC=1
    fi
}

keep_rocksdb() {
    local version kept built
    version=$(sed -n '/^name = "librocksdb-sys"/{n;s/^version = "\(.*\)"/\1/p}' Cargo.lock)
    kept=$CACHE/rocksdb/$version-$(uname -m)
    [ -e "$kept/librocksdb.a" ] && return 0
    built=$(compgen -G "$CARGO_TARGET_DIR/debug/build/librocksdb-sys-*/out/librocksdb.a" | head -n 1) || return 0
    [ -n "$built" ] || return 0
    mkdir -p "$kept"
    cp "$built" "$kept/librocksdb.a.new" && mv "$kept/librocksdb.a.new" "$kept/librocksdb.a"
}
