#!/usr/bin/env bash
# Tests the files beside it with a Slurm of its own: a private slurmctld and two slurmd on this machine, with a key, ports and
# a name of their own, in a temporary folder. Nothing of it stays. With --install it first installs what it needs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/testing.sh
. "$here/../testing.sh"

packages=(slurmctld slurmd slurm-client munge)
missing=()
for program in slurmctld slurmd sbatch munged munge; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("$program")
done
if [[ ${1:-} == --install ]]; then
    if ((${#missing[@]})); then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
    fi
elif ((${#missing[@]})); then
    fail "missing: ${missing[*]}. They are in Debian's packages ${packages[*]}: install these, or pass --install"
fi
export PATH=$PATH:/usr/sbin
find_fourbit
say "$(slurmctld -V), $(munged --version | head -1)"

folder=$(mktemp -d)
chmod 711 "$folder"
started=()
finish() {
    local code=$?
    trap - EXIT
    if ((code != 0)); then
        tail -n 15 "$folder"/*.log "$folder"/jobs/*.log >&2 2>/dev/null || true
    fi
    if [[ -S $folder/munge.socket ]]; then scancel --user="$(id -un)" --quiet 2>/dev/null || true; fi
    local process
    for process in "${started[@]}"; do kill -TERM "$process" 2>/dev/null || true; done
    for process in "${started[@]}"; do wait "$process" 2>/dev/null || true; done
    # Steps outlive their slurmd; theirs are all processes whose configuration is in this folder.
    for process in $(ours); do kill -KILL "$process" 2>/dev/null || true; done
    if [[ -z ${KEEP:-} ]]; then rm -rf "$folder"; else echo "kept: $folder" >&2; fi
    exit "$code"
}
# Processes of this cluster other than this script and those above it.
ours() {
    local status process
    for status in /proc/[0-9]*; do
        process=${status#/proc/}
        [[ $process != "$$" && $process != "$BASHPID" ]] || continue
        if tr '\0' '\n' 2>/dev/null <"$status/environ" | grep -qx "FOURBIT_TEST_CLUSTER=$folder"; then echo "$process"; fi
    done
}
trap finish EXIT

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port" && return; fi
    done
}

say "a cluster in $folder"
user=$(id -un) host=$(hostname -s)
mkdir "$folder/state" "$folder/one" "$folder/two" "$folder/jobs"
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none
chmod 600 "$folder/munge.key"
cat >"$folder/slurm.conf" <<CONF
ClusterName=fourbit_test_$$
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=5
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MinJobAge=3600
DefMemPerCPU=500
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=4 RealMemory=4000
NodeName=two NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=4 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
touch "$folder/cgroup.conf"
export SLURM_CONF=$folder/slurm.conf FOURBIT_TEST_CLUSTER=$folder

munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" \
    >"$folder/munged.out.log" 2>&1 &
started+=("$!")
await 20 test -S "$folder/munge.socket" || fail "munged does not start"
slurmctld -D -i -f "$SLURM_CONF" >"$folder/slurmctld.out.log" 2>&1 &
started+=("$!")
declare -A node
start_node() {
    slurmd -D -N "$1" -f "$SLURM_CONF" >"$folder/slurmd.$1.out.log" 2>&1 &
    node[$1]=$!
    started+=("$!")
}
start_node one
start_node two
ready() { [[ $(sinfo -h -N -o %T 2>/dev/null | grep -c idle) -eq ${1:-2} ]]; }
await 60 ready || fail "the nodes do not come up: $(sinfo 2>&1)"
checked "slurmctld and two slurmd run"

zoo=$folder/zoo
make_zoo "$zoo" 3
convert_whole "$zoo" "$folder/whole"

# One field of `scontrol show job`.
field() { scontrol --oneliner show job "$1" 2>/dev/null | head -1 | tr ' ' '\n' | sed -n "s/^$2=//p"; }
ended() { [[ $(field "$1" JobState) =~ ^(COMPLETED|FAILED|CANCELLED|NODE_FAIL|OUT_OF_MEMORY|TIMEOUT)$ ]]; }
is() { [[ $(field "$1" "$2") == "$3" ]]; }
cd "$folder/jobs"

# Submits the zoo into OUT: sets `tasks` and `merge`.
submit() {
    local told
    told=$("$here/submit.sh" -s --cpus-per-task=1 -s --mem=700 -S --mem=200 "$@" "${options[@]}")
    tasks=$(sed -n 's/^tasks //p' <<<"$told") merge=$(sed -n 's/^merge //p' <<<"$told")
    [[ -n $tasks && -n $merge ]] || fail "submit.sh said $told"
}
merged() {
    await 240 ended "$merge" || fail "the merge has not ended: $(squeue)"
    is "$merge" ExitCode "$1:0" || fail "the merge ended with $(field "$merge" ExitCode) and not with $1"
}
complete() {
    local task
    for task in "$@"; do
        is "${tasks}_$task" JobState COMPLETED || fail "task $task is $(field "${tasks}_$task" JobState)"
    done
}

say "four tasks, two at a time"
submit -n 4 -m 2 "$zoo" "$folder/plain"
merged 3
complete 0 1 2 3
checked "four tasks are complete, of which one had a broken file, and the merge behind them ended with 3"
for task in 0 1 2 3; do
    grep -q -- "--jobs=1 --threads=1 --memory-limit=630MiB --wait=3m --shard=$((task + 1))/4" "fourbit-${tasks}_$task.log" ||
        fail "task $task was not given what Slurm says: $(cat "fourbit-${tasks}_$task.log")"
done
checked "the tasks took processors, memory and shard from Slurm's variables"
same "$folder/whole" "$folder/plain" "array 0-3%2"

say "an array with a start and a step, and no number of shards"
env -u FOURBIT_SHARDS sbatch --parsable --mem-per-cpu=350 --cpus-per-task=2 --array=1-11:3 "$here/zoo.sbatch" "$zoo" \
    "$folder/steps" "${options[@]}" >steps
tasks=$(<steps)
merge=$(sbatch --parsable --mem=200 --dependency="afterany:$tasks" "$here/merge.sbatch" "$folder/steps")
merged 3
complete 1 4 7 10
grep -q -- '--jobs=2 --threads=2 --memory-limit=630MiB' "fourbit-${tasks}_7.log" || fail "memory by processor is not counted"
checked "memory by processor counts for all of them"
same "$folder/whole" "$folder/steps" "array 1-11:3"

say "one task requeued, one warned of its time limit, in the middle of their work"
out=$folder/requeued
submit -n 4 "$zoo" "$out"
await 60 converting "$out" 2-of-4 || fail "task 1 does not begin"
scontrol requeue "${tasks}_1"
await 60 converting "$out" 1-of-4 || fail "task 0 does not begin"
scancel --signal=USR1 --batch "${tasks}_0"
merged 3
complete 0 1 2 3
is "${tasks}_1" Restarts 1 || fail "task 1 was not requeued"
is "${tasks}_0" Restarts 1 || fail "task 0 was not requeued"
grep -q 'the time limit is near: requeued' "fourbit-${tasks}_0.log" || fail "task 0 did not requeue itself"
[[ ! -e $out/.fourbit/staging ]] || [[ -z $(ls "$out/.fourbit/staging") ]] || fail "something is left of the first attempts"
checked "both ran again, and the merge waited for them"
same "$folder/whole" "$out" "requeued"

say "a node lost in the middle of its work"
out=$folder/lost
submit -n 4 "$zoo" "$out"
on_node() { [[ $(squeue -h -t R -w one -o %A | wc -l) -gt 0 ]]; }
await 60 on_node || fail "no task begins on the first node"
lost=$(squeue -h -t R -w one -o %F_%K | head -1)
label=$((${lost#*_} + 1))-of-4
await 60 converting "$out" "$label" || fail "task $lost is not at work"
# With the node all that runs on it ends at once, as with the power, so that nothing of it can report that.
kill -STOP "${node[one]}"
died=()
for process in $(ours); do
    if tr '\0' '\n' 2>/dev/null <"/proc/$process/environ" | grep -qx 'SLURMD_NODENAME=one'; then
        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status" 2>/dev/null) || continue
        if [[ $(cat "/proc/$parent/comm") == slurmstepd* ]]; then
            kill -STOP "$parent"
            died+=("$parent")
        fi
        died+=("$process")
    fi
done
((${#died[@]} > 1)) || fail "nothing runs on the first node"
for process in "${died[@]}"; do kill -KILL "$process" 2>/dev/null || true; done
kill -KILL "${node[one]}"
{ wait "${node[one]}" || true; } 2>/dev/null
merged 3
complete 0 1 2 3
[[ $(field "$lost" Restarts) -ge 1 ]] || fail "task $lost was not requeued"
is "$lost" BatchHost two || is "$lost" NodeList two || fail "task $lost ran again on $(field "$lost" NodeList)"
checked "task $lost ran again on the other node"
same "$folder/whole" "$out" "a lost node"
start_node one
await 60 ready || fail "the first node does not come back"

say "one task cancelled, then submitted again by itself"
out=$folder/cancelled
submit -n 4 "$zoo" "$out"
await 60 converting "$out" 3-of-4 || fail "task 2 does not begin"
scancel "${tasks}_2"
merged 1
is "${tasks}_2" JobState CANCELLED || fail "task 2 is $(field "${tasks}_2" JobState)"
is "${tasks}_2" Restarts 0 || fail "a cancelled task was requeued"
grep -q 'have not finished: 3/4' "fourbit-merge-$merge.log" ||
    fail "the merge does not name the shard: $(cat "fourbit-merge-$merge.log")"
checked "the merge ran all the same and named shard 3/4"
# Somebody who is still at work on the same shard, like a task that was given up for lost.
"$FOURBIT" batch "$zoo" --output "$out" --shard 3/4 --jobs 1 --threads 1 "${options[@]}" --quiet >other.log 2>&1 &
other=$!
await 30 converting "$out" 3-of-4 || fail "the other does not begin"
# However quick it is, it is not done before the task looks.
kill -STOP "$other"
submit -n 4 -o 2 "$zoo" "$out"
waits() { grep -q 'waiting for it' "fourbit-${tasks}_2.log" 2>/dev/null; }
await 30 waits || fail "task 2 did not wait for the other"
kill -KILL "$other"
wait "$other" 2>/dev/null || true
merged 3
complete 2
checked "it waited while another was at work on the same shard, and went on when that was killed"
same "$folder/whole" "$out" "array 2 by itself"

say "a single task of a larger array, without the number of shards"
code=0
env SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_MIN=2 SLURM_ARRAY_TASK_MAX=2 SLURM_ARRAY_TASK_COUNT=1 \
    bash "$here/zoo.sbatch" "$zoo" "$out" "${options[@]}" >alone.log 2>&1 || code=$?
{ [[ $code -eq 1 ]] && grep -q FOURBIT_SHARDS alone.log; } || fail "it was not refused: $code, $(cat alone.log)"
checked "it is refused, and nothing is changed"
same "$folder/whole" "$out" "afterwards"

passed
