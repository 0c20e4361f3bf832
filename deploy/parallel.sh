#!/bin/sh
# An experiment on all cores of this machine, a process a shard: parallel.sh N CONFIG OUT
#
# Over SSH: add `--sshloginfile hosts --workdir .` to `parallel`, on a file system that the hosts share.
# `--retries` starts a shard again that was killed; it goes on where it was.
set -eu
count=$1 config=$2 out=$3
here=$(dirname "$0")
mkdir -p "$out"
# One training at a time in each process (`jobs = 1` in the config), as the processes share the cores.
seq 0 $((count - 1)) | parallel --retries 3 --joblog "$out/jobs.log" "$here/shard.sh" {} "$count" "$config" "$out"
exec "${RECTIFY:-rectify}" report "$out"/shard-* --out "$out/joined"
