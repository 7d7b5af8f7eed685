#!/bin/sh
# A base image from Debian's packages, for machines that reach a Debian mirror but no image registry:
#   sudo sh containers/debian-base.sh [TAG] [SUITE] [MIRROR]
#   make images BASE=TAG
# It trusts what this machine trusts (its CA certificates), so that pip works behind a proxy that opens TLS. Such an
# image is for building and testing here; what is deployed is built on the Dockerfiles' own base.
set -eu
tag=${1:-syncboard-base}
suite=${2:-bookworm}
mirror=${3:-}
engine=${ENGINE:-docker}

command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
    { tail -5 "$root.log" >&2; exit 1; }
rm -f "$root.log" "$root"/var/cache/apt/archives/*.deb
bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -f "$bundle" ]; then
    cp "$bundle" "$root/etc/ssl/certs/ca-certificates.crt"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
fi
tar --directory "$root" --create . | "$engine" import - "$tag"
