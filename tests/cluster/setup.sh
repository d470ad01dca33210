#!/bin/sh
# Makes a machine ready for development: system packages, the virtual environment, the programs of Kubernetes and TiDB.
# `make setup` runs it; `e2e` adds Helm and what a whole node and the image need, `ceph` installs Ceph, `minio` builds MinIO,
# `bench` adds pigz to that.
# With `packages` it stops after the system packages, which are all that needs root.
# It needs sh and python3 only, does nothing that is done already, and starts no service.
set -eu

cd "$(dirname "$0")/../.."

VENV=.venv
STAMP=$VENV/.setup-stamp
POLICY=/usr/sbin/policy-rc.d
POLICY_SAVED=$POLICY.before-tidbbackup
POLICY_MARK="Written by the set-up of tidbbackup, which removes it when it ends."
# Where mydumper comes from on systems that have none.
DONOR=bookworm

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# --- what there is -------------------------------------------------------------------------------------------

# The first Python that is new enough, in $python; the version found otherwise, in $too_old.
find_python() {
    python='' too_old=''
    for candidate in "${PYTHON:-python3}" /usr/bin/python3 python3.13 python3.12 python3.11; do
        found=$(command -v "$candidate") || continue
        if "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$found
            return
        fi
        too_old=$("$found" --version 2>/dev/null || true)
    done
    die "Python 3.11 or newer is needed, here is ${too_old:-none}; it is python3 in Debian 12 and Ubuntu 24.04"
}

# Adds a package, with its purpose, to what is missing.
packages=''
missing() {
    packages="$packages $1"
    say "missing: $1 ($2)"
}

find_missing() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        missing python3-venv "makes the virtual environment that everything else is installed into"
    PATH="$PATH:/usr/sbin:/usr/local/sbin"
    if ! command -v mariadbd >/dev/null || ! command -v mariadb-install-db >/dev/null; then
        missing mariadb-server-core "the database that the tests back up; the program alone, without a service"
    fi
    command -v my_print_defaults >/dev/null ||
        missing mariadb-client-core "what mariadb-install-db calls, and the \`mariadb\` command line"
    if ! command -v mydumper >/dev/null || ! command -v myloader >/dev/null; then
        missing mydumper "dumps and loads databases; the backup worker runs it"
    fi
    if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ -z "${SSL_CERT_FILE:-}" ]; then
        missing ca-certificates "lets Go check where it downloads Kubernetes from"
    fi
}

find_missing_for_e2e() {
    for each in containerd runc; do
        command -v $each >/dev/null || missing $each "runs the containers of the test node"
    done
    [ -x /usr/lib/cni/bridge ] || missing containernetworking-plugins "gives the pods of the test node their network"
    command -v ip >/dev/null || missing iproute2 "makes the network namespace that the test cluster lives in"
    command -v buildah >/dev/null || missing buildah "builds the image from the Dockerfile, without a daemon"
    command -v mmdebstrap >/dev/null || missing mmdebstrap "makes the image's base where there is no registry"
    command -v prometheus >/dev/null || missing prometheus "scrapes what the shipped monitors select"
}

find_missing_for_ceph() {
    for each in ceph-mon ceph-osd radosgw; do
        command -v $each >/dev/null || missing $each "one of the three daemons of a Ceph that serves S3"
    done
    command -v radosgw-admin >/dev/null || missing ceph-common "makes the users and the pools of Ceph"
}

# --- long commands -------------------------------------------------------------------------------------------

child=''
log=''

# with_progress WHAT COMMAND...: runs it, with a line every ten seconds; its output only if it fails.
with_progress() {
    what=$1
    shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null &
    child=$!
    seconds=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        [ $((seconds % 10)) -ne 0 ] || say "$what, $seconds s"
    done
    code=0
    wait "$child" || code=$?
    child=''
    [ "$code" -eq 0 ] || tail -n 40 "$log" >&2
    rm -f "$log"
    return "$code"
}

# --- mydumper where the system has none ----------------------------------------------------------------------

# A folder with apt lists of its own, while it is needed.
donor=''

# Whether mydumper is missing and no package list of the system has it.
lacks_mydumper() {
    case "$packages " in
        *" mydumper "*) ! LC_ALL=C apt-cache policy mydumper 2>/dev/null | grep -q '^  Candidate: [^(]' ;;
        *) return 1 ;;
    esac
}

# The addresses of Debian's main archive in the machine's apt sources, whatever their format.
debian_mirrors() {
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | sort -u
}

# Settings that come after the machine's own (proxy, logins), and change nothing of them: they only count for
# the calls that name them.
write_donor_settings() {
    mkdir -p "$donor/lists/partial" "$donor/cache/archives/partial"
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    signed_by=''
    [ ! -e $keyring ] || signed_by="[signed-by=$keyring] "
    for mirror in $mirrors; do
        echo "deb $signed_by$mirror $DONOR main"
    done >"$donor/sources.list"
    cat >"$donor/apt.conf" <<END
Dir::Etc::SourceList "$donor/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$donor/lists";
Dir::Cache "$donor/cache";
END
}

# Fetches the two packages and puts the files in the place of mydumper in $packages.
borrow_mydumper() {
    mirrors=$(debian_mirrors)
    [ -n "$mirrors" ] ||
        die "no package list of this system has mydumper, and none is Debian's: install mydumper 0.10 some other way"
    say "this system has no package mydumper (Debian dropped it after $DONOR, with libpcre3 that it needs):"
    say "taking these two from $DONOR, from the mirror this system uses; its apt sources stay as they are"
    donor=$(mktemp -d /tmp/tidbbackup-donor.XXXXXX)
    # apt downloads as a user of its own.
    chmod 755 "$donor"
    write_donor_settings
    # A mirror too many is no reason to give up: what counts is the download.
    with_progress "updating the package lists of $DONOR" apt-get -c "$donor/apt.conf" update || true
    with_progress "downloading mydumper" env -C "$donor" apt-get -c "$donor/apt.conf" download mydumper libpcre3 ||
        die "mydumper could not be fetched from $DONOR, see above: install mydumper 0.10 some other way"
    packages="$(echo "$packages " | sed 's/ mydumper / /') $(echo "$donor"/*.deb)"
}

# --- system packages -----------------------------------------------------------------------------------------

# Packages start their services as soon as they are installed, unless this file says no.
forbid_services() {
    allow_services
    if [ -e "$POLICY" ]; then
        mv "$POLICY" "$POLICY_SAVED"
    fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
}

# Puts back what was there. Run first too: a set-up that was killed has left ours behind.
allow_services() {
    if [ -e "$POLICY_SAVED" ]; then
        mv -f "$POLICY_SAVED" "$POLICY"
    elif grep -qs "$POLICY_MARK" "$POLICY"; then
        rm -f "$POLICY"
    fi
}

clean_up() {
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        # It may still be installing: services stay forbidden until it is gone.
        wait "$child" || true
    fi
    [ -z "$log" ] || rm -f "$log"
    [ -z "$donor" ] || rm -rf "$donor"
    [ "$(id -u)" -ne 0 ] || allow_services
}

install_packages() {
    command="apt-get install --no-install-recommends$packages"
    command -v apt-get >/dev/null ||
        die "there is no apt-get here: install what is missing some other way (in Debian:$packages)"
    if [ "$(id -u)" -ne 0 ]; then
        command="sudo apt-get update && sudo $command"
        ! lacks_mydumper || command="sudo tests/cluster/setup.sh packages $e2e $ceph $bench"
        die "installing needs root: run \`${command% }\`, then the same command again"
    fi
    say "installing with apt-get:$packages"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
    with_progress "updating package lists" apt-get -o DPkg::Lock::Timeout=120 update ||
        say "the package lists could not be updated, trying with those that are there"
    ! lacks_mydumper || borrow_mydumper
    # shellcheck disable=SC2086 # a list of words
    with_progress "installing packages" apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
        $packages || die "\`$command\` failed, see above"
    allow_services
}

# --- the virtual environment ---------------------------------------------------------------------------------

# Changes with everything the environment depends on.
wanted_stamp() { cat setup.cfg pyproject.toml | cksum; }

make_environment() {
    wanted=$(wanted_stamp)
    if "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
        [ "$(cat "$STAMP" 2>/dev/null)" != "$wanted" ] || return 0
    else
        say "making the virtual environment $VENV with $("$python" --version)"
        with_progress "making $VENV" "$python" -m venv --clear "$VENV" || die "could not make $VENV, see above"
    fi
    # Dying from here on leaves no stamp: the next run installs again.
    rm -f "$STAMP"
    say "installing Python packages into $VENV"
    with_progress "installing Python packages" \
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[test,lint]' ||
        die "pip failed, see above"
    echo "$wanted" >"$STAMP"
}

# -------------------------------------------------------------------------------------------------------------

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

e2e='' minio='' ceph='' bench='' only_packages=''
for each in "$@"; do
    case "$each" in
        e2e) e2e=e2e ;;
        ceph) ceph=ceph ;;
        minio) minio=yes ;;
        bench) bench=bench minio=yes ;;
        packages) only_packages=yes ;;
        *) die "unknown argument $each: it takes any of e2e, ceph, minio, bench and packages" ;;
    esac
done
find_python
find_missing
[ -z "$e2e" ] || find_missing_for_e2e
[ -z "$ceph" ] || find_missing_for_ceph
[ -z "$bench" ] || command -v pigz >/dev/null ||
    missing pigz "compresses as the original's archiver does, in the reference of \`make bench\`"
[ -z "$packages" ] || install_packages
[ -z "$only_packages" ] || exit 0
make_environment
"$VENV/bin/python" -m tests.cluster.binaries
"$VENV/bin/python" -m tests.cluster.dumpling
[ -z "$e2e" ] || "$VENV/bin/python" -m tests.cluster.helm
[ -z "$minio" ] || "$VENV/bin/python" -m tests.cluster.minio_server
