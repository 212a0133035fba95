#!/usr/bin/env bash
# Tests the manifests beside it without a cluster: holds them against Kubernetes' schemas, and runs the commands of their
# containers with the variables that pods would have, on a small zoo. Installs kubernetes-validate into an environment of its
# own in a temporary folder, unless PYTHON_WITH_SCHEMAS is a Python that has it. PYTHON is the Python to use.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/testing.sh
. "$here/../testing.sh"
find_fourbit
folder=$(mktemp -d)
finish() {
    local code=$?
    ((code == 0)) || tail -n 20 "$folder"/*.log >&2 2>/dev/null || true
    if [[ -z ${KEEP:-} ]]; then rm -rf "$folder"; else echo "kept: $folder" >&2; fi
}
trap finish EXIT

python=${PYTHON_WITH_SCHEMAS:-$folder/venv/bin/python}
if [[ -z ${PYTHON_WITH_SCHEMAS:-} ]]; then
    "${PYTHON:-python3}" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate ||
        fail "kubernetes-validate cannot be installed; set PYTHON_WITH_SCHEMAS to a Python that has it"
fi
say "kubernetes-validate $("$python" -c 'import kubernetes_validate as k; print(k.__version__)')"
"$python" "$here/pod.py" check 1.29 1.33 1.35 || fail "the manifests are not right"
checked "the manifests fit Kubernetes' schemas, strictly"

zoo=$folder/volume/models
make_zoo "$zoo" 3
convert_whole "$zoo" "$folder/whole"
mkdir "$folder/bin"
ln -s "$FOURBIT" "$folder/bin/fourbit"
export PATH=$folder/bin:$PATH

settings=(FOURBIT_SHARDS=4 "OPTIONS=${options[*]}")
out=$folder/volume/small
# Runs an index, in a process group of its own, as a pod is: INDEX [NAME=VALUE...]
pod() {
    local index=$1
    shift
    exec setsid "$python" "$here/pod.py" run zoo.yaml "$folder/volume" "${settings[@]}" "$@" "$index" \
        >>"$folder/pod$index.log" 2>&1
}
merging() {
    "$python" "$here/pod.py" run merge.yaml "$folder/volume" "${settings[@]}" >"$folder/merge.log" 2>&1
}
code_of() {
    code=0
    wait "$1" 2>/dev/null || code=$?
}

(pod 0) &
zero=$!
await 60 converting "$out" 1-of-4 || fail "index 0 does not begin"
# What the kubelet does first when a pod is to go: to the first process alone.
kill -TERM "$zero"
code_of "$zero"
[[ $code -eq 130 ]] || fail "SIGTERM ended index 0 with $code and not with 130"
! converting "$out" 1-of-4 || fail "conversions of index 0 go on"
checked "SIGTERM to the shell reaches fourbit, which stops its conversions: 130"
(pod 1) &
one=$!
await 60 converting "$out" 2-of-4 || fail "index 1 does not begin"
kill -KILL -- "-$one"
code_of "$one"
[[ $code -eq 137 ]] || fail "SIGKILL ended index 1 with $code"
code=0
merging || code=$?
{ [[ $code -eq 1 ]] && grep -q 'no shard has finished' "$folder/merge.log"; } || fail "an early merge ended with $code"
checked "a merge that comes too early says so and ends with 1"

code=0
(pod 2 OPTIONS=--precision=w5) || code=$?
[[ $code -eq 2 ]] || fail "wrong arguments ended with $code and not with 2"
checked "wrong arguments end with 2, for which the index is given up"

for pair in '0 1' '2 3'; do
    running=()
    for index in $pair; do
        (pod "$index") &
        running+=("$!")
    done
    for process in "${running[@]}"; do
        code_of "$process"
        [[ $code -eq 0 ]] || fail "one of $pair ended with $code"
    done
done
checked "all indices end with 0, the one with the broken file too, the stopped and the killed one at the second try"
grep -q 'shard 4/4 is done' "$folder/pod3.log" || fail "index 3 was not shard 4/4"
merging || fail "the merge failed"
same "$folder/whole" "$out" "four indices and a merge"

passed
