#!/bin/sh
# Makes the namespace and sets how long it keeps closed runs; run in temporalio/admin-tools, which may be repeated.
# TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, RETENTION such as 720h.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" > /dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"

# A new namespace is known everywhere some seconds later; who comes after this script must not meet that.
tries=60
until temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 1
done
