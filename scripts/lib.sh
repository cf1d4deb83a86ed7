# Shared by the scripts of this folder: what has to be installed first, where build output goes.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What every checkout of this machine may share: RocksDB's archives, tools, example programs.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/gridproof
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
mkdir -p "$CACHE/tools"
cd "$ROOT"
# Binaries of this checkout; what they are built from lies in a folder of cargo's own (see .cargo/config.toml).
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$1" >&2; [ -n "${2:-}" ] && printf ' hint: %s\n' "$2" >&2; exit 1; }

may_install_packages() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

installs_as() { if [ "$(id -u)" -eq 0 ]; then echo "as root"; else echo "as root through sudo"; fi; }

# What this script may change on the machine, and with which right, before it does. Each step names its own part once more.
say_what_is_installed() {
    local packages="none: apt-get is not to be had with the rights of $(id -un), missing ones are named and nothing is installed"
    may_install_packages && packages="missing ones of those that are needed, with apt-get, $(installs_as)"
    say "Debian packages: $packages" >&2
    say "as $(id -un), downloads: crates and, with rustup, Rust $(toolchain) into ~/.cargo and ~/.rustup$1" >&2
    say "as $(id -un), files: $CACHE (tools, compiled RocksDB), $(cargo metadata --format-version 1 --no-deps 2>/dev/null | sed -n 's/.*"build_directory":"\([^"]*\)".*/\1/p') (build), $TARGET (binaries); nothing else, and no service" >&2
}

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
    local sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    if ! may_install_packages; then
        fail "missing: ${missing[*]}" "install these packages (Debian names), for instance: apt-get install ${missing[*]}"
    fi
    say "installing Debian packages with apt-get, $(installs_as): ${missing[*]}" >&2
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building needs: a C++ compiler for RocksDB, libclang for its bindings.
need_build_tools() {
    [ "$(uname -m)" = x86_64 ] || fail "engine class 2 is defined for x86-64 machines, this one is $(uname -m)" "run on an x86-64 machine"
    local get="install Rust $(toolchain) or later, for instance with rustup (https://rustup.rs)" found
    command -v cargo >/dev/null || fail "cargo is missing" "$get"
    # rustup takes the version of rust-toolchain.toml by itself; a distribution's cargo is what it is.
    if ! command -v rustup >/dev/null; then
        found=$(rustc --version | cut -d ' ' -f 2)
        [ "$(printf '%s\n' "$(toolchain)" "$found" | sort -V | head -n 1)" = "$(toolchain)" ] || fail "Rust $found is too old" "$get"
    fi
    need_packages git=git g++=g++ make=make clang=clang '/usr/lib/llvm-*/lib/libclang.so*=libclang-dev'
    use_kept_rocksdb
}

# need_disk GIB: fails now rather than in the middle of a build. What was built before counts as room.
need_disk() {
    local build free has=0
    build=$(build_folder)
    mkdir -p "$build"
    free=$(df --output=avail -B1M "$build" | tail -n 1)
    [ "$free" -ge $(($1 * 1024)) ] || has=$(du -sm "$build" | cut -f 1)
    [ $((free + has)) -ge $(($1 * 1024)) ] || fail "$build has $((free / 1024)) GiB free, this needs $1 GiB" "make room, or set CARGO_BUILD_BUILD_DIR to a folder on another disk; cargo keeps the builds of removed checkouts beside it"
}

# What the example programs need: clang's WebAssembly target with a C library.
need_wasm_tools() {
    need_packages clang=clang wasm-ld=lld '/usr/lib/wasm32-wasi/libc.a=wasi-libc' \
        '/usr/lib/llvm-*/lib/clang/*/lib/wasi*/libclang_rt.builtins-wasm32.a=libclang-rt-dev-wasm32'
}

toolchain() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

# Where cargo keeps intermediate output of this checkout.
build_folder() { cargo metadata --format-version 1 --no-deps | sed -n 's/.*"build_directory":"\([^"]*\)".*/\1/p'; }

# RocksDB's C++ is more than half of a cold build. The archive of a development build is kept with its SHA-256, and the checkouts
# that come later link it: an untracked file beside cargo's configuration says so, so that plain cargo commands and these
# scripts agree. A checkout that has compiled RocksDB by itself goes on with that, since switching would build everything
# above it again. A release compiles RocksDB itself, always (see `release_rocksdb`).

# What the archive is made of, one line each: another line, another archive.
rocksdb_is_made_of() {
    local name
    for name in librocksdb-sys rocksdb lz4-sys; do
        sed -n "/^name = \"$name\"/,/^\$/s/^\\(name\\|version\\|checksum\\) = //p" Cargo.lock | tr '\n' ' '
        echo
    done
    sed -n 's/^rocksdb = /features /p' Cargo.toml
    sed -n '/^\[profile\.dev/,/^$/p' Cargo.toml
    local cxx=${CXX:-clang++}
    echo "compiler $("$cxx" --version | head -n 1) CXXFLAGS=${CXXFLAGS:-} CFLAGS=${CFLAGS:-}"
    rustc --version --verbose
}

kept_rocksdb() { printf '%s\n' "$CACHE/rocksdb/$(rocksdb_is_made_of | sha256sum | cut -c 1-24)"; }

# The archive that this checkout compiled for its development build, if it did.
own_rocksdb() { compgen -G "$(build_folder)/debug/build/librocksdb-sys-*/out/librocksdb.a" | head -n 1 || true; }

# True if the kept archive of a folder is the one that was kept there, and nobody else may write it.
is_kept_whole() {
    [ -e "$1/librocksdb.a" ] && [ -O "$1" ] && [ -z "$(find "$1" -perm /022 -print -quit)" ] &&
        (cd "$1" && sha256sum --status --check SHA256 2>/dev/null)
}

use_kept_rocksdb() {
    local kept file=.cargo/local.toml
    kept=$(kept_rocksdb)
    if [ -e "$kept" ] && ! is_kept_whole "$kept"; then
        say "RocksDB's kept archive is not what was kept, or others may write it: removed, compiled again" >&2
        rm -rf "$kept"
    fi
    if [ -e "$file" ] && { ! grep -qF "\"$kept\"" "$file" || [ ! -e "$kept" ]; }; then
        rm "$file"
    fi
    if [ ! -e "$file" ] && [ -e "$kept" ] && [ -z "$(own_rocksdb)" ]; then
        printf '# Written by scripts/lib.sh: RocksDB is linked from the archive that an earlier development build left.\n[env]\nROCKSDB_LIB_DIR = "%s"\nROCKSDB_STATIC = "1"\n' "$kept" >"$file"
    fi
}

# For a release build: RocksDB is compiled with the release's own flags, whatever is kept. It stays in this checkout's build folder.
# The C++ library is linked into the binary, so that it runs where only a C library is.
release_rocksdb() {
    local there=$CACHE/static
    mkdir -p "$there"
    ln -sfT "$(g++ -print-file-name=libstdc++.a)" "$there/libgridproof_stdcxx.a"
    export ROCKSDB_COMPILE=1 CXXSTDLIB=gridproof_stdcxx LIBRARY_PATH=$there${LIBRARY_PATH:+:$LIBRARY_PATH}
}

# Keeps the archive of the development build, once.
keep_rocksdb() {
    local kept built
    kept=$(kept_rocksdb)
    [ -e "$kept" ] && return 0
    [ -n "$(own_rocksdb)" ] || return 0
    # Of several that lie there, the one that the build of just now linked.
    built=$(cargo build --workspace --bins --locked --message-format json 2>/dev/null |
        sed -n '/"reason":"build-script-executed"/{/librocksdb-sys/s/.*"out_dir":"\([^"]*\)".*/\1/p}' | head -n 1)/librocksdb.a
    [ -e "$built" ] || return 0
    rm -rf "$kept.new.$$" && mkdir -p "$kept.new.$$"
    rocksdb_is_made_of >"$kept.new.$$/made-of"
    cp "$built" "$kept.new.$$/librocksdb.a"
    (cd "$kept.new.$$" && sha256sum librocksdb.a >SHA256)
    chmod -R go-w "$kept.new.$$"
    mv -T "$kept.new.$$" "$kept" 2>/dev/null || rm -rf "$kept.new.$$"
}

# copy_checkout FOLDER: makes a copy equal to the checkout and leaves alone what is equal, so that cargo sees what changed.
copy_checkout() {
    local file files
    mkdir -p "$1"
    files=$(mktemp)
    git ls-files -z --cached --others --exclude-standard | sort -uz >"$files"
    while IFS= read -r -d '' file; do
        if [ -e "$file" ] && ! cmp -s "$file" "$1/$file"; then
            mkdir -p "$(dirname "$1/$file")"
            cp "$file" "$1/$file"
        fi
    done <"$files"
    (cd "$1" && find . -type f -printf '%P\0') | sort -z | comm -z -13 "$files" - | (cd "$1" && xargs -0r rm -f)
    rm "$files"
}

# need_cargo_tool NAME VERSION: compiles a tool into the cache, once.
need_cargo_tool() {
    [ -x "$CACHE/tools/bin/$1" ] && grep -qs "\"$1 $2 " "$CACHE/tools/.crates2.json" && return 0
    say "compiling $1 $2 from crates.io, as $(id -un), into $CACHE/tools" >&2
    # Compiled once and run once a change: what counts is the time to compile it.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off cargo install "$1" --version "$2" --locked --root "$CACHE/tools" --target-dir "$CACHE/tools/target" --quiet
    rm -rf "$CACHE/tools/target"
}

# The peer of scripts/bench: compiled from the Go module registry into the cache, once for each version.
need_cometbft() {
    local version=v0.40.0 go
    COMETBFT=$CACHE/tools/cometbft-$version/cometbft
    [ -x "$COMETBFT" ] && return 0
    go=$(scripts/go-command 1.25)
    say "compiling CometBFT $version from the Go module registry, as $(id -un), into $(dirname "$COMETBFT")" >&2
    GOBIN=$(dirname "$COMETBFT") GOTOOLCHAIN=local "$go" install "github.com/cometbft/cometbft/cmd/cometbft@$version"
}

# AvalancheGo, the host of the plugin, and its example VM: compiled from the Go module registry into the cache, once for each
# version. GRIDPROOF_AVALANCHEGO=v1.15.0 takes another version than testnet/avalanche/go.mod names, AVALANCHEGO=PATH a binary
# that is there already. Sets AVALANCHEGO, XSVM and AVALANCHE_HARNESS, our own program that starts its nodes.
need_avalanchego() {
    local module=github.com/ava-labs/avalanchego pinned version folder go
    pinned=$(sed -n "s|^require $module \\(v[0-9.]*\\)\$|\\1|p; s|^\t$module \\(v[0-9.]*\\)\$|\\1|p" testnet/avalanche/go.mod)
    version=${GRIDPROOF_AVALANCHEGO:-$pinned} folder=$CACHE/tools/avalanchego-${GRIDPROOF_AVALANCHEGO:-$pinned}
    need_packages g++=g++
    go=$(scripts/go-command)
    export CGO_ENABLED=1 GOFLAGS=-buildvcs=false
    # The signatures' assembly takes instructions that processors before 2015 lack, unless it is told to look.
    grep -qw adx /proc/cpuinfo || export CGO_CFLAGS="-O2 -D__BLST_PORTABLE__"
    if [ -n "${AVALANCHEGO:-}" ]; then
        [ -x "$AVALANCHEGO" ] || fail "AVALANCHEGO=$AVALANCHEGO is not a program" "give the path of avalanchego, or leave it out"
    fi
    XSVM=$folder/xsvm AVALANCHE_HARNESS=$TARGET/avalanche-harness
    if [ ! -x "$folder/xsvm" ] || { [ -z "${AVALANCHEGO:-}" ] && [ ! -x "$folder/avalanchego" ]; }; then
        say "compiling AvalancheGo $version from the Go module registry, as $(id -un), into $folder, which takes some minutes" >&2
        mkdir -p "$folder/module"
        cp testnet/avalanche/go.mod testnet/avalanche/go.sum "$folder/module"
        local modfile=-modfile=$folder/module/go.mod
        if [ "$version" != "$pinned" ]; then
            "$go" -C testnet/avalanche get "$modfile" "$module@$version" >&2 ||
                fail "AvalancheGo $version does not come from the Go module registry" "build it from its repository, then set AVALANCHEGO=/path/to/avalanchego"
        fi
        [ -n "${AVALANCHEGO:-}" ] || "$go" -C testnet/avalanche build "$modfile" -o "$folder/avalanchego" "$module/main" >&2
        "$go" -C testnet/avalanche build "$modfile" -o "$folder/xsvm" "$module/vms/example/xsvm/cmd/xsvm" >&2
        rm -rf "$folder/module"
    fi
    AVALANCHEGO=${AVALANCHEGO:-$folder/avalanchego}
    mkdir -p "$TARGET"
    "$go" -C testnet/avalanche build -o "$(realpath "$TARGET")/avalanche-harness" . >&2
    export AVALANCHEGO XSVM AVALANCHE_HARNESS
}
