#!/bin/bash
# Installs missing Debian packages and npm test clients. Quick when nothing is missing.
#   tools/dependencies.sh build|test|bench|browser|npm ...
set -euo pipefail
cd "$(dirname "$0")/.."

build=(gcc libc6-dev cmake ninja-build pkg-config python3 brotli
       libssl-dev libjansson-dev zlib1g-dev libqrencode-dev libsqlite3-dev libcurl4-openssl-dev)
[ "$(uname -m)" = x86_64 ] && build+=(libipsec-mb-dev)
# the build configures its tests too, so cmocka belongs to both
test=(libcmocka-dev libsrtp2-dev clang lld clang-format clang-tidy libclang-rt-dev
      curl openssl python3-websockets man-db git procps iproute2 mosquitto mosquitto-clients)
# Node may come from elsewhere than Debian, with npm in one package
command -v node >/dev/null || test+=(nodejs)
command -v npm >/dev/null || test+=(npm)
# certutil of libnss3-tools: browsers that trust a test's own authority; PHP runs what docs/embed.md shows
browser=(chromium firefox-esr nftables libnss3-tools php-cli)
# what tests and benchmarks compare with; without them those tests and columns are left out
optional=(coturn gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
          gstreamer1.0-nice python3-gst-1.0 gir1.2-gst-plugins-bad-1.0)
measured=(janus mosquitto)

packages=()
optional_wanted=0
npm_wanted=0
for group in "$@"; do
    case "$group" in
    build) packages+=("${build[@]}") ;;
    test) packages+=("${test[@]}") optional_wanted=1 ;;
    bench) optional+=("${measured[@]}") optional_wanted=1 ;;
    browser) packages+=("${browser[@]}") ;;
    npm) npm_wanted=1 ;;
    *) echo "dependencies.sh: no group $group" >&2; exit 2 ;;
    esac
done

# missing_packages PACKAGE...: those of them that are not installed
missing_packages() {
    local installed package
    installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' "$@" 2>/dev/null || true) "
    for package in "$@"; do
        case "$installed" in
        *" installed=$package "*) ;;
        *) echo "$package" ;;
        esac
    done
}

refuse() {
    echo "These packages are missing:" >&2
    printf '    %s\n' "$@" >&2
    echo "$reason" >&2
    echo "Install them by hand (on Debian and its relatives: apt-get install $*), then try again." >&2
    exit 1
}

install_packages() {
    local missing=("$@") as_root=()
    if ! command -v apt-get >/dev/null; then
        reason="There is no apt-get here." refuse "${missing[@]}"
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            reason="Neither root nor sudo is at hand." refuse "${missing[@]}"
        fi
        as_root=(sudo)
    fi
    echo "Installing: ${missing[*]}"
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    local install=("${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}")
    # package lists may be absent or old: only then fetch them
    if ! apt-get install -s -q "${missing[@]}" >/dev/null 2>&1; then
        "${as_root[@]}" apt-get update -q || true
    fi
    if ! "${install[@]}"; then
        "${as_root[@]}" apt-get update -q || true
        "${install[@]}" || reason="apt-get could not install them." refuse "${missing[@]}"
    fi
}

# Debian's packages start their servers (coturn on port 3478, roost's own; mosquitto), and with every
# boot: a masked unit does not.
mask_service() {
    local unit=/etc/systemd/system/$1.service as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    if [ -d /etc/systemd/system ] && [ ! -e "$unit" ] && [ ! -L "$unit" ]; then
        "${as_root[@]}" ln -s /dev/null "$unit"
        echo "The service $1 stays off; to use it: systemctl unmask $1"
    fi
}

# in a shell of its own: what cannot be had is told and done without
install_optional() (
    for package in $(missing_packages "${optional[@]}"); do
        mask_service "$package" || continue
        (install_packages "$package") || echo "Going on without $package."
    done
)

install_npm() {
    local stamp=tests/node_modules/.stamp
    [ -f tests/package-lock.json ] || return 0
    if [ -f "$stamp" ] && cmp -s tests/package-lock.json "$stamp"; then
        return 0
    fi
    echo "Installing npm test clients into tests/node_modules"
    (cd tests && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp tests/package-lock.json "$stamp"
}

if [ "${#packages[@]}" -gt 0 ]; then
    if ! command -v dpkg-query >/dev/null; then
        echo "dependencies.sh: no dpkg here; make sure of: ${packages[*]}" >&2
    else
        mapfile -t missing < <(missing_packages "${packages[@]}")
        for package in "${missing[@]}"; do
            [ "$package" != mosquitto ] || mask_service mosquitto
        done
        [ "${#missing[@]}" -eq 0 ] || install_packages "${missing[@]}"
    fi
fi
if [ "$optional_wanted" = 1 ] && command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    install_optional
fi
[ "$npm_wanted" = 0 ] || install_npm
