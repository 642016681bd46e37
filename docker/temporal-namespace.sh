#!/bin/sh
# The namespace of DreamNet with its retention and its search attributes; can be run any number of times.
set -eu
namespace=${TEMPORAL_NAMESPACE:-default}

until temporal operator cluster health; do sleep 1; done

if temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; then
  temporal operator namespace update --namespace "$namespace" --retention "$RETENTION"
else
  temporal operator namespace create --namespace "$namespace" --retention "$RETENTION"
fi

# A namespace that was made a moment ago is not known to every part of the server at once.
until known=$(temporal operator search-attribute list --namespace "$namespace"); do sleep 1; done
for name in DreamKind DreamEntity DreamState DreamSeverity DreamSubsystem; do
  case "$known" in
    *"$name"*) ;;
    *) temporal operator search-attribute create --namespace "$namespace" --name "$name" --type Keyword ;;
  esac
done

# Ready only when the server understands them: a run started before that would be refused.
until temporal workflow list --namespace "$namespace" --limit 1 --query \
  'DreamKind="" AND DreamEntity="" AND DreamState="" AND DreamSeverity="" AND DreamSubsystem=""'; do
  sleep 1
done
echo "namespace $namespace is ready"
