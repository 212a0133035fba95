#!/usr/bin/env bash
# Makes the archive of a release for this machine's platform: the program, its documents, licences and bill of materials, and, where
# the program writes them, completions and man pages. What is packed has fixed names, order, times and owners.
#
# usage: deploy/archives.sh [OUT]         (default: target/archives)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

out=${1:-target/archives}
target=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || fail "no commit to take the time from: set SOURCE_DATE_EPOCH"
export SOURCE_DATE_EPOCH
# bsdtar has no --sort.
tar=$(command -v gtar || command -v tar)
"$tar" --version | grep -q GNU || fail "GNU tar is missing"
# At most: what docs and images promise.
limit=$((30 * 1000 * 1000))

# The program must not name the folders of the machine that built it.
built=${CARGO_TARGET_DIR:-$PWD/target}
remaps=("'--remap-path-prefix=$PWD=fourbit'" "'--remap-path-prefix=$built=target'")
for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    remaps+=("'--remap-path-prefix=$folder=crates'")
done
flags="target.'cfg(all())'.rustflags=[$(IFS=,; echo "${remaps[*]}")]"
cargo build --profile dist --locked --bin fourbit --config "$flags"
program=$built/dist/fourbit
size=$(wc -c <"$program")
((size < limit)) || fail "$program has $size bytes, more than $limit"
# With the commit and its date, where this is a checkout.
case "$("$program" --version)" in
"fourbit $version" | "fourbit $version ("*) ;;
*) fail "$program is not version $version" ;;
esac

name=fourbit-$version-$target
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
folder=$stage/$name
mkdir -p "$folder" "$out"
install -m 755 "$program" "$folder/fourbit"
install -m 644 LICENSE README.md CHANGELOG.md SECURITY.md "$folder"
deploy/dependencies.py "$target" "$folder/LICENSES-OF-CRATES.txt" "$folder/fourbit.cdx.json"
# The standard library is in the program, too.
rust=$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html
[ ! -f "$rust" ] || install -m 644 "$rust" "$folder/LICENSES-OF-RUST.html"

# Both subcommands are asked for first: a program without them still has an archive.
if "$program" completions --help >/dev/null 2>&1; then
    mkdir "$folder/completions"
    "$program" completions bash >"$folder/completions/fourbit.bash"
    "$program" completions zsh >"$folder/completions/_fourbit"
    "$program" completions fish >"$folder/completions/fourbit.fish"
else
    echo "no completions: fourbit has no such subcommand"
fi
if "$program" man --help >/dev/null 2>&1; then
    mkdir "$folder/man"
    "$program" man "$folder/man"
else
    echo "no man pages: fourbit has no such subcommand"
fi

"$tar" --create --directory "$stage" --format ustar --sort name --mtime "@$SOURCE_DATE_EPOCH" \
    --owner 0 --group 0 --numeric-owner --mode u=rwX,go=rX "$name" | gzip -9 --no-name >"$out/$name.tar.gz"
cp "$folder/fourbit.cdx.json" "$out/$name.cdx.json"
(cd "$out" && sha256sum "$name.tar.gz" "$name.cdx.json" >"$name.sha256")
printf '%s: %s bytes, the program %s\n' "$out/$name.tar.gz" "$(wc -c <"$out/$name.tar.gz")" "$size"
