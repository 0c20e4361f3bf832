#!/bin/sh
# One shard of an experiment, begun or gone on with: shard.sh I N CONFIG OUT
# The engines call it; it is all that they need to know of Rectify.
set -eu
index=$1 count=$2 config=$3 out=$4/shard-$1-of-$2
if [ -e "$out/config.toml" ]; then
    exec "${RECTIFY:-rectify}" compare --resume "$out"
fi
exec "${RECTIFY:-rectify}" compare --config "$config" --shard "$index/$count" --out "$out"
