#!/bin/bash
# Runs experiments in shards by real engines, kills a shard on the way, and compares what is joined with the same experiment
# in one process: try.sh [parallel] [slurm]
#
# Needs jq, and parallel or slurm-wlm and munge (Debian's packages; as root, for Slurm runs its own controller, node and
# munge on the loopback, with their files in a temporary folder). RECTIFY is the program.
set -euo pipefail
cd "$(dirname "$0")/.."
RECTIFY=$(realpath "${RECTIFY:-target/release/rectify}")
export RECTIFY RECTIFY_SAVE_SECONDS=0.2
work=$(mktemp -d)
daemons=()
stop() {
    ((${#daemons[@]} == 0)) || kill "${daemons[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT

grid=$work/grid.toml sweep=$work/sweep.toml
settings=(--train-size 4000 --epochs 6 --jobs 1 --seeds 3)
"$RECTIFY" compare --print-config "${settings[@]}" --activations relu,tanh,gelu >"$grid"
"$RECTIFY" compare --print-config "${settings[@]}" --activations relu,tanh --sweep lr=0.03,0.3 --sweep hidden=64:64,64 >"$sweep"

# Results without times and without what is of one machine.
figures() {
    if [ -e "$1/sweep.json" ]; then
        jq -S '{points: [.points[] | .runs[] |= del(.wall_seconds) | .summary[] |= del(.seconds_per_epoch)], notes}' "$1/sweep.json"
    else
        jq -S '{runs: [.runs[] | del(.wall_seconds) | .epochs[] |= del(.seconds)], summary: [.summary[] | del(.seconds_per_epoch)]}' "$1/results.json"
    fi
}
same() {
    figures "$1" >"$work/one.json"
    figures "$2" >"$work/other.json"
    cmp -s "$work/one.json" "$work/other.json" || { echo "$3: the joined results are others" >&2; exit 1; }
    echo "$3: $(jq '[.runs // .points[].runs] | flatten | length' "$work/other.json") runs, the same numbers as in one process"
}
# Kills the program in a shard as soon as it has saved a state.
kill_in() {
    until compgen -G "$1/shard-1-of-4/runs/*/state" >/dev/null || compgen -G "$1/shard-1-of-4/points/*/runs/*/state" >/dev/null; do
        sleep 0.05
    done
    pkill -KILL --full "$1/shard-1-of-4"
}

try_parallel() {
    "$RECTIFY" compare --config "$grid" --out "$work/whole-grid" --quiet >/dev/null
    kill_in "$work/parallel" &
    deploy/parallel.sh 4 "$grid" "$work/parallel" >/dev/null 2>"$work/parallel.log" || { cat "$work/parallel.log"; exit 1; }
    wait %1
    # GNU parallel notes the last try of each job: the one that was killed has been tried again.
    same "$work/whole-grid" "$work/parallel/joined" "GNU parallel, a shard killed and retried"
}

# A cluster of one node, this machine.
start_slurm() {
    mkdir -p "$work/slurm/state" "$work/slurm/spool"
    # Munge refuses a socket in a folder that others can write, and clients that cannot reach it.
    chmod 755 "$work" "$work/slurm"
    dd if=/dev/urandom of="$work/slurm/key" bs=1024 count=1 status=none
    chmod 600 "$work/slurm/key"
    munged --foreground --force --key-file="$work/slurm/key" --socket="$work/slurm/munge" --pid-file="$work/slurm/munged.pid" \
        --log-file="$work/slurm/munged.log" --seed-file="$work/slurm/seed" >"$work/slurm/munged.out" 2>&1 &
    daemons+=($!)
    local name
    name=$(hostname -s)
    cat >"$work/slurm/slurm.conf" <<CONF
ClusterName=try
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/slurm/munge
CredType=cred/munge
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd.pid
SlurmctldLogFile=$work/slurm/slurmctld.log
SlurmdLogFile=$work/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$name Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$work/slurm/slurm.conf
    slurmctld -D >"$work/slurm/slurmctld.out" 2>&1 &
    daemons+=($!)
    slurmd -D >"$work/slurm/slurmd.out" 2>&1 &
    daemons+=($!)
    for _ in $(seq 60); do
        ! sinfo --noheader --format %T 2>/dev/null | grep -q idle || return 0
        sleep 0.5
    done
    tail -n 20 "$work"/slurm/*.log "$work"/slurm/*.out >&2
    echo "Slurm does not start" >&2
    exit 1
}

try_slurm() {
    "$RECTIFY" compare --config "$sweep" --out "$work/whole-sweep" --quiet >/dev/null
    start_slurm
    mkdir "$work/logs"
    local job state
    job=$(sbatch --parsable --array=0-3 --output="$work/logs/%a.log" --mem=0 deploy/slurm.sbatch "$sweep" "$work/cluster")
    kill_in "$work/cluster"
    # What a killed task needs on a cluster whose administrator does not requeue failed ones.
    until state=$(scontrol show job "${job}_1" | grep -o 'JobState=[A-Z]*') && [[ ! $state =~ RUNNING|COMPLETING ]]; do sleep 0.2; done
    echo "Slurm: task 1 was killed: $state"
    scontrol requeue "${job}_1"
    # Slurm waits two minutes with what it runs again.
    until scontrol update JobId="${job}_1" StartTime=now 2>/dev/null; do sleep 0.2; done
    while [ -n "$(squeue --noheader --jobs="$job" 2>/dev/null)" ]; do sleep 0.5; done
    "$RECTIFY" report "$work"/cluster/shard-* --out "$work/cluster/joined" >/dev/null 2>"$work/logs/report"
    same "$work/whole-sweep" "$work/cluster/joined" "Slurm $(sinfo --version | cut -d ' ' -f 2), a job array, a task killed and requeued" \
        || { tail -n 5 "$work"/logs/* >&2; exit 1; }
}

[ $# -gt 0 ] || set -- parallel
for engine in "$@"; do
    "try_$engine"
done
