#!/bin/bash
# kis-bench on the nodes of a job of PBS Pro or OpenPBS: qsub pbs.sh, or with options of kis-bench run:
#
#     qsub -v KIS_OPTIONS="--dataset mine=/shared/mine --model vit-l-16-siglip-384" -l select=4:ncpus=16:ngpus=1:mem=64gb pbs.sh
#
# Pictures, store, models and the Python environment lie in folders that all nodes see under the same path.
# place=scatter: each chunk is a node of its own.
#PBS -N kis-bench
#PBS -l select=2:ncpus=16:ngpus=1:mem=64gb
#PBS -l place=scatter
#PBS -l walltime=04:00:00
#PBS -j oe
set -euo pipefail
cd "$PBS_O_WORKDIR"
# source /shared/kis-bench/bin/activate

# This script runs on the first node. Several jobs may share it, so each has ports of its own: two, below those that
# Linux gives away, and above 10002 to 19999, among which Ray looks for free ones for its workers.
job="${PBS_JOBID%%.*}"
address="${KIS_NODE_ADDRESS:-$(hostname -I | awk '{print $1}')}:$((20000 + 10#${job//[!0-9]/} % 6000 * 2))"
resources=(--num-cpus="${NCPUS:-1}")
[ -z "${KIS_GPUS:-}" ] || resources+=(--num-gpus="$KIS_GPUS") # of each node; without it, those that Ray finds
# Where grpcio is installed, a head listens for Ray's client as well, which isn't used here: at port 10001, unless told
# otherwise. It ends where another user's head is there already.
client=()
! python -c 'import grpc' 2>/dev/null || client=(--ray-client-server-port=$((${address##*:} + 1)))
# Where a chunk has several mpiprocs, its node has several lines. Each node gets one process of Ray, by its first line.
mapfile -t lines < <(awk '!seen[$0]++ { print NR - 1 }' "$PBS_NODEFILE")

# Who has no token can't give the cluster work, or read what it has: nodes may have other users.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$PWD/.kis-bench-$job.token"
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # at the end nothing is left that other nodes could take over
# With --block, what Ray starts ends with it; `ray stop` would end every cluster of this user on the machine.
ray start --head --node-ip-address="${address%:*}" --port="${address##*:}" --include-dashboard=false \
    "${resources[@]}" "${client[@]}" --block >>"kis-bench-$job-ray.log" 2>&1 &
started+=($!)
for line in "${lines[@]:1}"; do # pbsdsh passes no environment on, hence the whole path
    pbsdsh -n "$line" -- /usr/bin/env RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$RAY_AUTH_TOKEN_PATH" \
        "$(command -v ray)" start --address="$address" "${resources[@]}" --block \
        >>"kis-bench-$job-ray.log" 2>&1 &
    started+=($!)
done

python -m kis_bench.cluster.waiting "$address" "${#lines[@]}"
# shellcheck disable=SC2086 # several words
kis-bench run --engine "ray:$address" ${KIS_OPTIONS:-}
