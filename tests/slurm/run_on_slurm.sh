#!/usr/bin/env bash
# Runs a sweep on a real SLURM of one node on loopback, made and removed by this script:
# three points, one of which is put back into the queue while it trains.
#
#     bash tests/slurm/run_on_slurm.sh             # as root; needs slurm-wlm and munge
#     bash tests/slurm/run_on_slurm.sh --install   # gets them from Debian first
#
# Takes about a minute and a half. Not part of the tests: it needs root and daemons.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1:-} == --install ]]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        slurm-wlm munge
fi
for program in slurmctld slurmd munged; do
    if ! command -v "$program" >/dev/null; then
        echo "No $program: apt-get install slurm-wlm munge, or give --install." >&2
        exit 2
    fi
done
# shellcheck source=/dev/null
source "${PDTLA_VENV:-.venv}/bin/activate"

home=$(mktemp -d)
chmod 755 "$home"
daemons=()

shut_down() {
    status=$?
    scancel --user="$(id -un)" 2>/dev/null || true
    for ((index = ${#daemons[@]} - 1; index >= 0; index--)); do
        kill "${daemons[index]}" 2>/dev/null || true
        wait "${daemons[index]}" 2>/dev/null || true
    done
    if ((status)); then
        tail -n 20 "$home"/*.log "$home"/sweep/slurm/*.err 2>/dev/null || true
    fi
    rm -rf "$home"
    echo "Shut down."
}
trap shut_down EXIT

free_port() {
    python - <<'PYTHON'
import socket
with socket.socket() as server:
    server.bind(("127.0.0.1", 0))
    print(server.getsockname()[1])
PYTHON
}

wait_until() { # seconds, command...
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        if ((SECONDS > deadline)); then
            echo "Waited $1 s in vain for: ${*:2}" >&2
            return 1
        fi
        sleep 0.5
    done
}

start_slurm() {
    mkdir "$home/state" "$home/spool" "$home/munge"
    chmod 755 "$home/munge"
    head -c 128 /dev/urandom >"$home/munge/key"
    chmod 1000 "$home/munge/key"
    munged --foreground --force --key-file="$home/munge/key" \
        --socket="$home/munge/socket" --pid-file="$home/munge/pid" \
        --log-file="$home/munge.log" --seed-file="$home/munge/seed" 2>>"$home/munge.log" &
    daemons+=($!)
    cat >"$home/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is put back waits for its credential to expire, by default two minutes.
AuthInfo=socket=$home/munge/socket,cred_expire=5
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2
MpiDefault=none
JobRequeue=1
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=loopback Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$home/slurm.conf
    wait_until 10 test -S "$home/munge/socket"
    slurmctld -D -c -f "$SLURM_CONF" >"$home/slurmctld.log" 2>&1 &
    daemons+=($!)
    slurmd -D -f "$SLURM_CONF" -N "$(hostname -s)" >"$home/slurmd.log" 2>&1 &
    daemons+=($!)
    wait_until 30 bash -c 'sinfo --noheader --format=%T 2>/dev/null | grep -q idle'
    sinfo
}

sweep() {
    python -m launch.sweep --gin_file=gin/stages/lam.gin \
        --gin_file=gin/envs/procgen.gin --gin_file=gin/smoke.gin \
        --gin_file=tests/tiny.gin --gin.DATA_DIR="$home/data" --gin.NUM_UPDATES=1000 \
        --gin.CHECKPOINT_EVERY=20 --gin.LOG_EVERY=20 --grid=SEED=0,1,2 \
        --sweep_dir="$home/sweep" --launcher=slurm --slurm_partition=loopback \
        --slurm_cpus=1 --slurm_minutes=30 --max_parallel=2 "$@" 2>>"$home/sweep.log"
}

has_trained() { # name of a point, least step
    local newest
    newest=$(grep -o 'ckpt-[0-9]*' "$home/sweep/$1/checkpoints/checkpoint" \
        2>/dev/null | head -n 1)
    ((${newest#ckpt-} + 0 >= $2))
}

job_of() {
    python -c 'import json, sys; print(json.load(open(sys.argv[1]))["jobs"][sys.argv[2]])' \
        "$home/sweep/sweep.json" "$1"
}

has_started_again() {
    [[ $(grep -c 'learns .* parameters' "$home/sweep/$1/log.txt") -eq $2 ]]
}

start_slurm
python -m launch.build_dataset --gin_file=gin/envs/procgen.gin --gin.ENV_ID=maze \
    --gin.NUM_TRAJS=24 --gin.MAX_EPISODE_STEPS=16 --num_workers=1 \
    --data_dir="$home/data" 2>>"$home/sweep.log"

echo "== Submit"
sweep
squeue --array

echo "== Put SEED=0 back while it trains, as an administrator does"
wait_until 120 has_trained SEED=0 20
scontrol requeue "$(job_of SEED=0)"

echo "== Send SEED=1 the signal that announces preemption or the time limit"
wait_until 120 has_trained SEED=1 60
scancel --signal=USR2 "$(job_of SEED=1)"
sleep 1

echo "== The same command submits nothing twice"
sweep

echo "== Wait"
sweep --wait
for point in SEED=0 SEED=1; do
    has_started_again "$point" 2
    echo "$point was started twice:"
    grep -E 'learns .* parameters|Step [0-9]+ of' \
        "$home/sweep/$point/log.txt" | sed 's/.*\] //' | awk '
            /parameters/ { if (last) print "    " last; print "    " $0; first = 1; next }
            first { print "    " $0; first = 0 } { last = $0 } END { print "    " last }'
done
has_started_again SEED=2 1
for seed in 0 1 2; do
    grep -q '"step": 1000' "$home/sweep/SEED=$seed/results.json"
done
sweep | tee "$home/table.txt"
grep -q '3 points: 3 finished.' "$home/table.txt"
echo "OK"
