#!/bin/bash
# kis-bench on the nodes of a Slurm job: sbatch slurm.sh [OPTIONS OF kis-bench run]
#
#     sbatch --nodes=4 slurm.sh --dataset mine=/shared/mine --model vit-l-16-siglip-384
#
# Pictures, store, models and the Python environment lie in folders that all nodes see under the same path.
# --ntasks-per-node=1: one Ray process for each node, which has all of the node's part of the job.
# --no-kill: without it, Slurm ends the job when one of its nodes fails. Ray goes on with the others.
#SBATCH --job-name=kis-bench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --no-kill
#SBATCH --time=04:00:00
#SBATCH --output=kis-bench-%j.log
set -euo pipefail
# source /shared/kis-bench/bin/activate

# This script runs on the first node. Several jobs may share it, so each has ports of its own: two, below those that
# Linux gives away, and above 10002 to 19999, among which Ray looks for free ones for its workers.
address="${KIS_NODE_ADDRESS:-$(hostname -I | awk '{print $1}')}:$((20000 + SLURM_JOB_ID % 6000 * 2))"
cores="${SLURM_CPUS_PER_TASK:-1}"
resources=(--num-cpus="$cores")
[ -z "${SLURM_GPUS_ON_NODE:-}" ] || resources+=(--num-gpus="$SLURM_GPUS_ON_NODE")
# Where grpcio is installed, a head listens for Ray's client as well, which isn't used here: at port 10001, unless told
# otherwise. It ends where another user's head is there already.
client=()
! python -c 'import grpc' 2>/dev/null || client=(--ray-client-server-port=$((${address##*:} + 1)))

# Who has no token can't give the cluster work, or read what it has: nodes may have other users.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$PWD/.kis-bench-$SLURM_JOB_ID.token"
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$RAY_AUTH_TOKEN_PATH")

started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 # at the end nothing is left that other nodes could take over
# With --block, what Ray starts ends with it; `ray stop` would end every cluster of this user on the machine.
ray start --head --node-ip-address="${address%:*}" --port="${address##*:}" --include-dashboard=false \
    "${resources[@]}" "${client[@]}" --block >>"kis-bench-$SLURM_JOB_ID-ray.log" 2>&1 &
started+=($!)
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    # Since Slurm 22.05, srun doesn't take --cpus-per-task from the job: without it, a node would have one core.
    srun --nodes="$others" --ntasks="$others" --exclude="$SLURMD_NODENAME" --cpus-per-task="$cores" \
        --no-kill --kill-on-bad-exit=0 --wait=0 \
        ray start --address="$address" "${resources[@]}" --block >>"kis-bench-$SLURM_JOB_ID-ray.log" 2>&1 &
    started+=($!)
fi

python -m kis_bench.cluster.waiting "$address" "$SLURM_JOB_NUM_NODES"
kis-bench run --engine "ray:$address" "$@"
