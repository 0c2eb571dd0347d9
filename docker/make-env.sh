#!/bin/sh
# Make docker/.env from docker/.env.example, with random passwords in it; only you can read it. One that exists stays.
set -eu
umask 077
cd "$(dirname "$0")"
secret() { od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n'; }
[ ! -e .env ] || { echo "docker/.env exists and stays as it is; to have a new one, move it away first" >&2; exit 1; }
while IFS= read -r line; do
  case $line in
    POSTGRES_PASSWORD= | LOGIN_PASSWORD=) line=$line$(secret) ;;
  esac
  printf '%s\n' "$line"
done < .env.example > .env.new
ln .env.new .env  # fails where another was quicker
rm .env.new
echo "docker/.env is made. Next: fill in TORCH_INDEX and VIDEOS_DIR there. The login of both pages: user admin, LOGIN_PASSWORD"
