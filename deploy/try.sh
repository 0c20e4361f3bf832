#!/bin/bash
# Runs an experiment in shards by GNU parallel, kills a shard on the way, and compares what is joined with the same
# experiment in one process. Needs parallel and jq. RECTIFY is the program.
set -euo pipefail
cd "$(dirname "$0")/.."
RECTIFY=$(realpath "${RECTIFY:-target/release/rectify}")
export RECTIFY RECTIFY_SAVE_SECONDS=0.2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

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

try_parallel
