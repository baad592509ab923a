#!/usr/bin/env bash
# Builds the image from the Dockerfile and runs it as compose.yaml does, on a machine without Docker and without its
# registry: podman, buildah and runc, on a base made by debootstrap in the place of the one that cannot be fetched.
#
#   make container-test
#   CONTAINER_TEST_BASE=python:3.11-slim-bookworm make container-test        where images can be pulled
#   CONTAINER_TEST_MOUNTS="-v /etc/pip.conf:/etc/pip.conf:ro ..."            where pip needs a mirror or a CA of its own
#
# What it shows: the image builds; it runs as uid 10001 on a read-only root without capabilities; it becomes healthy and
# trades; it has neither compiler nor pip; a bad config exits 2; SIGTERM exits 0 with no order open and books that match.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in podman buildah runc debootstrap; do
    if ! command -v "$program" > /dev/null; then
        echo "skipped: $program is missing; Debian: apt-get install podman buildah runc debootstrap"
        exit 0
    fi
done
if [ "$(id -u)" -ne 0 ]; then
    echo "skipped: debootstrap and the vfs storage need root"
    exit 0
fi

scratch=${CONTAINER_TEST_DIR:-$(mktemp -d)}
mkdir -p "$scratch"
export STORAGE_DRIVER=vfs CONTAINERS_CONF="$scratch/containers.conf"
printf '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n' > "$CONTAINERS_CONF"
store=(--root "$scratch/store" --runroot "$scratch/run")
name=arbot-container-test
pod() { podman "${store[@]}" "$@"; }
fail() { echo "FAILED: $*" >&2; pod logs "$name" 2>&1 | tail -20 >&2 || true; exit 1; }
clean() {
    pod rm --force --time 1 "$name" > /dev/null 2>&1 || true
    if [ -z "${CONTAINER_TEST_DIR:-}" ]; then
        pod rmi --all --force > /dev/null 2>&1 || true
        rm -rf "$scratch"
    fi
}
trap clean EXIT

base=${CONTAINER_TEST_BASE:-docker.io/library/arbot-test-base:latest}
if [ -z "${CONTAINER_TEST_BASE:-}" ] && ! pod image exists "$base"; then
    echo "making a stand-in base"
    # shellcheck disable=SC2086  # without a mirror debootstrap takes its own
    debootstrap --variant=minbase --include=python3,python3-venv bookworm "$scratch/root" ${CONTAINER_TEST_MIRROR:-} \
        > "$scratch/debootstrap.log"
    tar -C "$scratch/root" --exclude=./var/cache/apt --exclude=./usr/share/doc -c . | pod import - "$base" > /dev/null
    rm -rf "$scratch/root"
fi

echo "building"
# shellcheck disable=SC2086  # several options in one variable
buildah "${store[@]}" bud --layers --isolation chroot --network host --format docker ${CONTAINER_TEST_MOUNTS:-} \
    --build-arg PYTHON_IMAGE="$base" -t arbot:test . > "$scratch/build.log" 2>&1 || {
    tail -20 "$scratch/build.log" >&2
    exit 1
}
echo "image: $(pod image inspect --format '{{.Size}}' arbot:test) bytes, base: $(pod image inspect --format '{{.Size}}' "$base")"

hardened=(--network host --read-only --read-only-tmpfs=false --tmpfs /tmp:size=256m,mode=1777 --cap-drop all
    --security-opt no-new-privileges --user 10001:10001)
code=0
pod run --rm "${hardened[@]}" arbot:test config check -c /etc/passwd > /dev/null 2>&1 || code=$?
[ "$code" -eq 2 ] || fail "a file that is no config exits $code, not 2"

pod run --detach --name "$name" "${hardened[@]}" --volume "$name:/var/lib/arbot:U" arbot:test > /dev/null
started=$(date +%s)
until pod healthcheck run "$name" > /dev/null 2>&1; do
    [ $(($(date +%s) - started)) -lt 120 ] || fail "not healthy after 120 s"
    sleep 1
done
echo "healthy after $(($(date +%s) - started)) s"

inside() { pod exec "$name" "$@"; }
[ "$(inside id -u)" = 10001 ] || fail "it runs as $(inside id -u)"
! inside sh -c 'touch /x 2>/dev/null || touch /opt/arbot/x 2>/dev/null || touch /etc/x 2>/dev/null' || fail "the root can be written to"
inside grep -q '^CapEff:[[:space:]]*0000000000000000$' /proc/1/status || fail "it has capabilities"
inside grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/1/status || fail "it may gain privileges"
! inside sh -c 'command -v gcc || command -v cc || /opt/arbot/bin/python -m pip --version' > /dev/null 2>&1 || fail "compiler or pip inside"
for _ in $(seq 60); do
    flat=$(inside arbot status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["totals"]["arbs_flat"])' || echo 0)
    [ "${flat:-0}" -eq 0 ] || break
    sleep 1
done
[ "${flat:-0}" -gt 0 ] || fail "no arb in a minute"
echo "arbs done: $flat"

pod stop --time 180 "$name" > /dev/null
code=$(pod inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" -eq 0 ] || fail "SIGTERM exits $code"
pod logs "$name" 2> /dev/null | tail -1 | python3 -c '
import json, sys
told = json.loads(sys.stdin.readline())
print({key: told[key] for key in ("ended", "open_orders", "ledger_matches_venues", "arbs_flat")})
sys.exit(not (told["open_orders"] == 0 and told["ledger_matches_venues"] and told["ended"] == "drained"))
' || fail "something was left open"
pod volume rm --force "$name" > /dev/null 2>&1 || true
echo "container: all as it should be"
