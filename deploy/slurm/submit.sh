#!/usr/bin/env bash
# Submits a batch as an array, and the merge for when all its tasks have ended, however they ended.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: submit.sh [-n SHARDS] [-m MOST] [-o TASKS] [-s OPTION]... [-S OPTION]... SOURCE OUT [OPTION...]

  -n SHARDS  how many shards there are in all (8)
  -m MOST    how many tasks may run at once (all)
  -o TASKS   only these again, as in 2 or 0,5-7: numbers from 0, with -n as it was the first time
  -s OPTION  of sbatch for the tasks, as in --cpus-per-task=16; may be repeated (--mem=16G, unless one is about memory)
  -S OPTION  of sbatch for the merge; may be repeated (--mem=2G, likewise)

What follows OUT are options of fourbit batch. Account and partition may come from SBATCH_ACCOUNT and SBATCH_PARTITION,
the program from FOURBIT. SOURCE and OUT must be the same on all nodes. Prints the numbers of the two jobs.
TEXT
}

shards=8 most='' only='' array=() merge=()
while getopts 'n:m:o:s:S:h' option; do
    case $option in
    n) shards=$OPTARG ;;
    m) most=$OPTARG ;;
    o) only=$OPTARG ;;
    s) array+=("$OPTARG") ;;
    S) merge+=("$OPTARG") ;;
    h)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done
shift $((OPTIND - 1))
if (($# < 2)) || [[ ! $shards =~ ^[1-9][0-9]*$ || ! $most =~ ^([1-9][0-9]*)?$ || ! $only =~ ^[0-9,-]*$ ]]; then
    usage >&2
    exit 2
fi
out=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# A program that is not there would be found out by every task, one after another.
"${FOURBIT:-fourbit}" --version >/dev/null ||
    { echo "error: there is no ${FOURBIT:-fourbit}: put it into PATH, or set FOURBIT" >&2; exit 1; }

# Slurm takes only one option about memory.
[[ "${array[*]}" == *--mem* ]] || array+=(--mem=16G)
[[ "${merge[*]}" == *--mem* ]] || merge+=(--mem=2G)

export FOURBIT_SHARDS=$shards
tasks=$(sbatch --parsable --export=ALL "${array[@]}" --array="${only:-0-$((shards - 1))}${most:+%$most}" \
    "$here/zoo.sbatch" "$@")
tasks=${tasks%%;*}
# Not afterok: the merge says what is missing, and a task that failed must not keep it from running.
merging=$(sbatch --parsable --export=ALL "${merge[@]}" --dependency="afterany:$tasks" "$here/merge.sbatch" "$out") ||
    { echo "error: the array is job $tasks, but the merge could not be submitted: sbatch merge.sbatch $out" >&2; exit 1; }
echo "tasks $tasks"
echo "merge ${merging%%;*}"
