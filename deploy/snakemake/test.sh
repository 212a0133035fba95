#!/usr/bin/env bash
# Tests the Snakefile beside it: installs Snakemake into an environment of its own in a temporary folder (or takes the one
# of SNAKEMAKE, a program), runs it on a small zoo and compares with an undivided run. PYTHON is the Python to use.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/testing.sh
. "$here/../testing.sh"
find_fourbit
folder=$(mktemp -d)
finish() {
    local code=$?
    ((code == 0)) || tail -n 40 "$folder"/*.log >&2 2>/dev/null || true
    if [[ -n ${running:-} ]]; then kill -TERM "$running" 2>/dev/null || true; fi
    if [[ -z ${KEEP:-} ]]; then rm -rf "$folder"; else echo "kept: $folder" >&2; fi
}
trap finish EXIT

if [[ -z ${SNAKEMAKE:-} ]]; then
    "${PYTHON:-python3}" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'snakemake>=8' ||
        fail "Snakemake cannot be installed; set SNAKEMAKE to one that is there"
    SNAKEMAKE=$folder/venv/bin/snakemake
fi
say "Snakemake $("$SNAKEMAKE" --version)"

zoo=$folder/zoo
make_zoo "$zoo" 2
convert_whole "$zoo" "$folder/whole"
cd "$folder"

# Writes a configuration: NAME SHARDS PROGRAM
configure() {
    cat >"$1.yaml" <<YAML
source: zoo
out: $1
shards: $2
options: "${options[*]}"
threads: 1
memory_mb: 700
fourbit: $3
YAML
}
# Runs the workflow: NAME [OPTION...]
flow() {
    local name=$1
    shift
    "$SNAKEMAKE" --snakefile "$here/Snakefile" --configfile "$name.yaml" --cores 2 "$@" >"$name.log" 2>&1
}
shards() { grep -cE '^(local)?rule shard:' "$1.log" || true; }

configure parts 4 "$FOURBIT"
flow parts || fail "the workflow failed"
same whole parts "four shards, two at a time"
[[ $(shards parts) -eq 4 ]] || fail "$(shards parts) shards were run and not 4"
checked "a broken model is no failure of the workflow"

flow parts || fail "the second run failed"
grep -q 'Nothing to be done' parts.log || fail "the second run did something"
checked "when all is done it does nothing"

touch "$zoo/1/shapes_mobile/model.onnx"
flow parts || fail "the third run failed"
[[ $(shards parts) -eq 4 ]] || fail "a newer file was not looked at"
same whole parts "after a file got another date, which changes nothing"

configure parts 3 "$FOURBIT"
flow parts || fail "the run in three failed"
same whole parts "then divided into three"

configure parts 1 "$FOURBIT"
flow parts || fail "the run in one failed"
same whole parts "then in one"

say "a shard that fails once, and a workflow that is stopped"
cat >once <<SH
#!/usr/bin/env bash
# Fails for the first time with shard 2.
if [[ " \$* " == *" 2/4 "* && ! -e "$folder/failed" ]]; then
    touch "$folder/failed"
    exit 1
fi
exec "$FOURBIT" "\$@"
SH
chmod +x once
configure again 4 "$folder/once"
flow again || fail "the shard was not tried again"
[[ -e failed ]] || fail "nothing failed"
checked "a shard that failed is tried again"
same whole again "with a shard that failed once"

configure stopped 4 "$FOURBIT"
"$SNAKEMAKE" --snakefile "$here/Snakefile" --configfile stopped.yaml --cores 2 >stopped.log 2>&1 &
running=$!
begun() { [[ -n $(find stopped/.fourbit/staging -mindepth 3 -name stdout 2>/dev/null) ]]; }
await 60 begun || fail "no conversion begins"
kill -TERM "$running"
wait "$running" && fail "it was not stopped"
running=
idle() { [[ -z $(find stopped/.fourbit/staging -mindepth 3 -name stdout 2>/dev/null) ]]; }
await 60 idle || true
[[ ! -e stopped/summary.json ]] || fail "it had ended already"
flow stopped --rerun-incomplete || fail "it does not go on"
same whole stopped "stopped and started again"

passed
