#!/bin/sh
# Creates the namespace and sets its retention of closed runs. Run it in temporalio/admin-tools; it is idempotent.
# Needs TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, and RETENTION such as 720h.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" > /dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"

# A new namespace is usable after some seconds. Wait until then, so that the next step does not fail.
tries=60
until temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 1
done
