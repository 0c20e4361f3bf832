#!/bin/bash
# Runs an experiment in shards by GNU parallel and by a Slurm of its own on the loopback, kills a task on the way, and
# compares what is joined with the same experiment in one process: deploy/try.sh [parallel] [slurm]
#
# Needs parallel and jq and, for Slurm (as root), slurmctld, slurmd, slurm-client and munge. RECTIFY is the program.
set -euo pipefail
cd "$(dirname "$0")/.."
RECTIFY=$(realpath "${RECTIFY:-target/release/rectify}")
export RECTIFY RECTIFY_SAVE_SECONDS=0.2
work=$(mktemp -d)
trap 'stop_slurm; rm -rf "$work"' EXIT
slurm=()
stop_slurm() { ((${#slurm[@]} == 0)) || kill "${slurm[@]}" 2>/dev/null || true; }

config=$work/config.toml
"$RECTIFY" compare --print-config --activations relu,tanh,gelu --seeds 3 --train-size 4000 --epochs 6 --jobs 1 >"$config"
"$RECTIFY" compare --config "$config" --out "$work/whole" --quiet >/dev/null

# Results without times and without what is of one machine.
figures() { jq -S '{runs: [.runs[] | del(.wall_seconds) | .epochs[] |= del(.seconds)], summary: [.summary[] | del(.seconds_per_epoch)]}' "$1/results.json"; }
same() {
    diff <(figures "$work/whole") <(figures "$1") >/dev/null || { echo "$2: the joined results are others" >&2; exit 1; }
    echo "$2: $(jq '.runs | length' "$1/results.json") runs, the same numbers as in one process"
}
# Kills the program in a shard as soon as it has saved a state.
kill_in() {
    until compgen -G "$1/shard-1-of-4/runs/*/state" >/dev/null; do sleep 0.05; done
    pkill -KILL --full "shard-1-of-4|shard 1/4"
}

try_parallel() {
    kill_in "$work/parallel" &
    deploy/parallel.sh 4 "$config" "$work/parallel" >/dev/null 2>"$work/parallel.log" || { cat "$work/parallel.log"; exit 1; }
    wait %1
    # GNU parallel notes the last try of each job: the one that was killed has been tried again.
    same "$work/parallel/joined" "GNU parallel, a shard killed and retried"
}

try_slurm() {
    local name
    name=$(hostname -s)
    mkdir -p "$work/slurm/state" "$work/slurm/spool" "$work/munge"
    chmod 755 "$work"
    chown -R munge: "$work/munge"
    chmod 700 "$work/munge"
    head -c 128 /dev/urandom >"$work/munge/key"
    chown munge: "$work/munge/key"
    chmod 400 "$work/munge/key"
    # A socket of its own, so that a munge of the machine's stays as it is.
    runuser -u munge -- munged --foreground --key-file="$work/munge/key" --socket="$work/munge/socket" --force \
        --log-file="$work/munge/log" --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" &
    slurm+=($!)
    chmod 755 "$work/munge"
    export SLURM_CONF=$work/slurm/slurm.conf
    cat >"$SLURM_CONF" <<CONF
ClusterName=rectify
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
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
ReturnToService=2
MpiDefault=none
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=$name Default=YES MaxTime=INFINITE State=UP
CONF
    until [ -S "$work/munge/socket" ]; do sleep 0.1; done
    slurmctld -D & slurm+=($!)
    slurmd -D & slurm+=($!)
    until sinfo --noheader --format %T 2>/dev/null | grep -q idle; do sleep 0.5; done

    local job
    job=$(sbatch --parsable --array=0-3 --mem=500M --output="$work/slurm/%a.log" deploy/slurm.sbatch "$config" "$work/array")
    until compgen -G "$work/array/shard-1-of-4/runs/*/state" >/dev/null; do sleep 0.05; done
    # As a preempted task: Slurm kills it and starts it again.
    scontrol requeue "${job}_1"
    echo "Slurm: task 1 requeued after $(cat "$work"/array/shard-1-of-4/runs/*/metrics.jsonl | grep -c '"epoch"') epochs"
    until [ -z "$(squeue --noheader --job "$job" 2>/dev/null)" ]; do sleep 1; done
    "$RECTIFY" report "$work"/array/shard-* --out "$work/array/joined" >/dev/null
    same "$work/array/joined" "Slurm, a job array with a task requeued"
}

for engine in "${@:-parallel slurm}"; do
    for one in $engine; do "try_$one"; done
done
