#!/usr/bin/env bash
# Makes the wheels of a release, and the source distribution: for this machine's processors, or on x86-64 for those of 64-bit ARM, too, where
# zig is there to link for them. On macOS and Windows run it as well: it makes the wheel of that machine.
#
# usage: deploy/wheels.sh [OUT]         (default: target/wheels)
#
# It needs maturin, and for wheels of Linux zig (pip install maturin ziglang), which links against a glibc as old as 2.28. A wheel is for every
# processor of its kind: on x86-64 a few percent slower than the program from a checkout, which is built for AVX2.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

out=${1:-target/wheels}
host=$(rustc -vV | sed -n 's/^host: //p')
limit=$((20 * 1000 * 1000))
command -v maturin >/dev/null || fail "maturin is missing: pip install maturin ziglang"

# One version for the program and the package.
version() { sed -n 's/^version = "\(.*\)"/\1/p' "$1" | head -1; }
[ "$(version Cargo.toml)" = "$(version python/Cargo.toml)" ] || fail "python/Cargo.toml has another version than Cargo.toml"

# The flags of .cargo/config.toml are for processors of 2013 and later.
case $host in
x86_64-*) export RUSTFLAGS="-C target-cpu=x86-64" ;;
esac

build() { maturin build --profile dist --locked --manifest-path python/Cargo.toml --out "$out" "$@"; }
has() { [ -d "$(rustc --print target-libdir --target "$1")" ]; }

mkdir -p "$out"
case $host in
*-linux-gnu)
    if python3 -m ziglang version >/dev/null 2>&1 || command -v zig >/dev/null; then
        build --compatibility manylinux_2_28 --zig
        other=aarch64-unknown-linux-gnu
        if [ "$host" != "$other" ]; then
            has "$other" || fail "the standard library for $other is missing: rustup target add $other"
            unset RUSTFLAGS
            build --compatibility manylinux_2_28 --zig --target "$other"
        fi
    else
        echo "zig is missing: the wheel is for systems with this machine's glibc or a newer one"
        build
    fi
    ;;
*) build ;;
esac
maturin sdist --manifest-path python/Cargo.toml --out "$out"

for file in "$out"/*.whl "$out"/*.tar.gz; do
    size=$(wc -c <"$file")
    ((size < limit)) || fail "$file has $size bytes, more than $limit"
    printf '%s: %s bytes\n' "$file" "$size"
done
