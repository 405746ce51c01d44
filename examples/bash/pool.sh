#!/usr/bin/env bash
# The pool by curl alone: who is there, a task and its result, a reservation and its end.
set -euo pipefail

pool=${1:-http://127.0.0.1:3000}
id="from-bash-$$-$(date +%s)"
post() { curl --fail --silent --show-error --header 'Content-Type: application/json' --data "$2" "$pool$1"; echo; }

curl --fail --silent --show-error "$pool/api/resources"; echo

# A task under an id of our own: the same again would run nothing twice. Then wait for its end.
post /api/tasks '{"id": "'"$id"'", "submitterId": "bash", "type": "compute",
  "requirements": {"memory": 64}, "data": {"command": "primes", "input": {"n": 100000}}}'
curl --fail --silent --show-error "$pool/api/tasks/$id?submitter=bash&wait=30"; echo

# A reservation for a minute, given back before that; `id` lets us name it.
post /api/allocations '{"id": "'"$id"'", "requester": "bash", "requirements": {"memory": 256}, "ttl": 60}'
curl --fail --silent --show-error --request DELETE "$pool/api/allocations/$id"; echo
