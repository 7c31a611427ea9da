#!/bin/sh
# Certificates for what speaks TLS inside compose, from an authority of their own. Made once; what is there stays.
#   certificates.sh AUTHORITY  FOLDER NAME USER  [FOLDER NAME USER …]
# AUTHORITY gets ca.crt, which everybody may read; each FOLDER gets tls.crt and tls.key for the host NAME, readable by
# the user with the number USER alone. The authority's own key is kept nowhere.
set -eu
umask 077

authority=$1
shift
if [ -e "$authority/ca.crt" ]; then
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj "/CN=Token Health, inside compose" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout "$work/ca.key" -out "$work/ca.crt" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }

while [ $# -gt 0 ]; do
    folder=$1 name=$2 user=$3
    shift 3
    cat >"$work/extensions" <<EXTENSIONS
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:$name
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
EXTENSIONS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$name" \
        -keyout "$folder/tls.key" -out "$work/request" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
    openssl x509 -req -in "$work/request" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 3650 \
        -extfile "$work/extensions" -out "$folder/tls.crt" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
    chmod 0755 "$folder"
    chmod 0644 "$folder/tls.crt"
    chmod 0600 "$folder/tls.key"
    chown "$user" "$folder/tls.key"
done

# Last, since it says that all is there.
cp "$work/ca.crt" "$authority/ca.crt.new"
chmod 0755 "$authority"
chmod 0644 "$authority/ca.crt.new"
mv "$authority/ca.crt.new" "$authority/ca.crt"
