#!/bin/sh
# What does the container do? Without words, or with options only, it serves /models on port 5800; a verb is `claracore`'s.
#
# The configuration is /data/config.yaml, which is written by what is found in /models. With CLARACORE_API_KEY in the
# environment, every call needs that key from the first start on: the file then says so, and takes it from there.
set -eu

config=${CLARACORE_CONFIG:-/data/config.yaml}

is_healthy() {
    exec /opt/claracore/bin/python -I -S -c '
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 5800, timeout=4)
connection.request("GET", "/health")
raise SystemExit(connection.getresponse().status != 200)' 2>/dev/null
}

require_key() {
    folder=$(dirname "$config")
    if [ -e "$config" ]; then
        grep -q '^apiKeys:' "$config" || echo "CLARACORE_API_KEY is set, but $config has no apiKeys: it is not in force" >&2
    elif [ -w "$folder" ]; then
        # shellcheck disable=SC2016 - ClaraCore puts it in place, so that the key is in no file
        printf '%s\n' '# The key that CLARACORE_API_KEY holds may do everything.' 'apiKeys: ["${env.CLARACORE_API_KEY}"]' >"$config"
    else
        echo "CLARACORE_API_KEY is set, but $config cannot be written: mount a volume that this user may write" >&2
        exit 1
    fi
}

case "${1-}" in
is-healthy) is_healthy ;;
serve) shift ;;
"" | -*) ;;
*) exec claracore "$@" ;;
esac

for word in "$@"; do
    case $word in
    # A file of one's own is served as it is; where it is read-only, nothing can be added to it.
    --config | --config=* | --config-dir | --config-dir=*) exec claracore serve --listen :5800 "$@" ;;
    -h | --help) exec claracore serve --help ;;
    esac
done

[ -z "${CLARACORE_API_KEY-}" ] || require_key
exec claracore serve --listen :5800 --config "$config" --models-folder /models "$@"
