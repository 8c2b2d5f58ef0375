#!/usr/bin/env bash
# The files that deploy, by the tools of each field; `make check-deploy` obtains them. Ends at the first that is wrong.
# No container engine is asked: no image is built here, and nothing runs. tests/deploy/test_compose.py runs the commands.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$PWD/.local/check-venv/bin
programs=$PWD/.local/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== Dockerfiles: hadolint"
"$tools/hadolint" deploy/docker/Dockerfile deploy/temporal/Dockerfile

echo "== docker-compose.yml: the specification's schema, and Compose itself"
"$tools/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yml
sed 's/=$/=a-value/' .env.example > "$work/env"
"$tools/docker-compose" --env-file "$work/env" --profile observability config --quiet
if "$tools/docker-compose" --env-file .env.example config --quiet 2> "$work/refused"; then
    echo "Compose starts without secrets." && exit 1
fi
grep -q "required variable" "$work/refused"

echo "== Kubernetes: kustomize, and the API's schemas without unknown fields"
for overlay in staging production; do
    "$programs/kustomize" build "deploy/kubernetes/overlays/$overlay" > "$work/$overlay.yaml"
    "$tools/kubernetes-validate" --strict --quiet --no-warn "$work/$overlay.yaml"
done

echo "== GitHub: actionlint and the schemas; the dormant pipeline without its comment signs"
sed -n 's/^# \{0,1\}//; /^name: /,$p' deploy/aws/pipeline.yml > "$work/aws.yml"
"$programs/actionlint"
"$programs/actionlint" "$work/aws.yml"
"$tools/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml "$work/aws.yml"
"$tools/check-jsonschema" --builtin-schema vendor.dependabot .github/dependabot.yml

echo "== Terraform: its formatter, which parses, and another parser; validating needs the providers"
for file in deploy/aws/terraform/*.tf; do
    "$tools/hcl2tojson" "$file" > /dev/null
done
if command -v terraform > /dev/null; then
    terraform fmt -check -recursive deploy/aws/terraform
else
    echo "terraform is not installed: left out"
fi

echo "== Scripts: sh"
for file in deploy/temporal/*.sh; do
    sh -n "$file"
done
