# What the test scripts beside this file share; to be sourced. The scripts set `folder` to a folder of their own.
# shellcheck shell=bash

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Options of the conversions: with samples, so that a shard takes long enough to be killed in the middle.
# shellcheck disable=SC2034
options=(--precision w4a8)
checks=0

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
checked() { checks=$((checks + 1)); printf 'ok %s: %s\n' "$checks" "$*"; }

# The program to test: FOURBIT, or what this repository has built.
find_fourbit() {
    export FOURBIT=${FOURBIT:-${CARGO_TARGET_DIR:-$repository/target}/release/fourbit}
    [[ -x $FOURBIT ]] || fail "$FOURBIT is missing: cargo build --release, or set FOURBIT to the program"
    say "$("$FOURBIT" --version), $FOURBIT"
}

# Makes a small zoo: COPIES of each model of the repository with a sample, and a file that is no model.
make_zoo() {
    local zoo=$1 copies=$2 copy model
    for ((copy = 1; copy <= copies; copy++)); do
        for model in digits_attention shapes_mobile shapes_resnet waves_recurrent; do
            mkdir -p "$zoo/$copy/$model"
            cp "$repository/models/$model/model.onnx" "$zoo/$copy/$model/"
            cp -r "$repository/models/$model/test_data_set_0" "$zoo/$copy/$model/"
        done
    done
    mkdir -p "$zoo/broken"
    head -c 3000 "$repository/models/shapes_mobile/model.onnx" >"$zoo/broken/cut.onnx"
    models=$((copies * 4))
}

# Converts the zoo as a whole, without anything of a cluster in the environment.
convert_whole() {
    local code=0
    env -u SLURM_ARRAY_TASK_ID -u AWS_BATCH_JOB_ARRAY_INDEX -u JOB_COMPLETION_INDEX -u FOURBIT_SHARDS \
        "$FOURBIT" batch "$1" --output "$2" "${options[@]}" --quiet || code=$?
    [[ $code -eq 3 ]] || fail "the undivided run ended with $code and not with 3, some failed"
    local found
    found=$(find "$2" -name 'model.onnx' | wc -l)
    [[ $found -eq $models ]] || fail "the undivided run wrote $found models and not $models"
    checked "an undivided run writes $models models, names the broken file and ends with 3"
}

# Compares two output folders byte for byte, all but the times and the records of the division.
same() {
    local difference left
    difference=$(diff -r --exclude=shards --exclude='timings*' "$1" "$2" 2>&1) ||
        fail "$2 is not as the undivided run: $difference"
    left=$(find "$2/.fourbit/staging" -mindepth 1 2>/dev/null || true)
    [[ -z $left ]] || fail "left behind: $left"
    checked "$3: $(find "$2" -type f -not -path '*/shards/*' -not -name 'timings*' | wc -l) files as in the undivided run, byte for byte"
}

# Waits until SECONDS have passed or the rest of the line is true.
await() {
    local limit=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < limit)) || return 1
        sleep 0.1
    done
}

# Whether the shard with this label is in the middle of a conversion.
converting() { [[ -n $(find "$1/.fourbit/staging/$2" -mindepth 2 -name stdout 2>/dev/null) ]]; }

passed() { printf '%s checks passed\n' "$checks"; }
