{{- /* The objects of install.yaml come from files/; what values change in them is changed here, in place. */}}

{{- define "tidbbackup.image" -}}
{{- with .Values.image }}{{ .repository }}{{ with .digest }}@{{ . }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- /* Takes a list: the Deployment, the root. */}}
{{- define "tidbbackup.patchDeployment" }}
{{- $deployment := first . }}
{{- $values := (last .).Values }}
{{- $image := include "tidbbackup.image" (last .) }}
{{- $pod := $deployment.spec.template.spec }}
{{- $container := first $pod.containers }}
{{- $_ := set $deployment.spec "replicas" $values.replicas }}
{{- $_ := set $container "image" $image }}
{{- range $container.env }}{{ if eq .name "WORKER_IMAGE" }}{{ $_ := set . "value" $image }}{{ end }}{{ end }}
{{- $_ := set $container "imagePullPolicy" $values.image.pullPolicy }}
{{- $_ := set $container "resources" $values.resources }}
{{- $args := $container.args }}
{{- with $values.namespaces }}{{ $args = append $args (printf "--namespaces=%s" (join "," .)) }}{{ end }}
{{- with $values.image.pullPolicy }}{{ if ne . "IfNotPresent" }}{{ $args = append $args (printf "--worker-pull-policy=%s" .) }}{{ end }}{{ end }}
{{- $_ := set $container "args" (concat $args $values.extraArgs) }}
{{- range $name := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with index $values $name }}{{ $_ := set $pod $name . }}{{ end }}
{{- end }}
{{- with $values.podLabels }}{{ $_ := set $deployment.spec.template.metadata "labels" (merge $deployment.spec.template.metadata.labels .) }}{{ end }}
{{- with $values.podAnnotations }}{{ $_ := set $deployment.spec.template.metadata "annotations" . }}{{ end }}
{{- end }}

{{- /* Takes a list: the ClusterRole or its binding, the root. Writes a Role or a RoleBinding for each namespace. */}}
{{- define "tidbbackup.inNamespaces" }}
{{- $object := first . }}
{{- $_ := set $object "kind" (trimPrefix "Cluster" $object.kind) }}
{{- with $object.roleRef }}{{ $_ := set . "kind" "Role" }}{{ end }}
{{- range (last .).Values.namespaces }}
---
{{- $_ := set $object.metadata "namespace" . }}
{{ toYaml $object }}
{{- end }}
{{- end }}
