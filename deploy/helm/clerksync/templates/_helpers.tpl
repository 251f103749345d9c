{{- define "clerksync.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Of all that the release makes. */}}
{{- define "clerksync.instance" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The image's: a release's image has the tag of the release, v1.2.3. */}}
{{- define "clerksync.tag" -}}
{{ .Values.image.tag | default (printf "v%s" .Chart.AppVersion) }}
{{- end }}

{{- define "clerksync.labels" -}}
{{ include "clerksync.instance" . }}
app.kubernetes.io/version: {{ include "clerksync.tag" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What runs: the server, and workers where the functions are apart. */}}
{{- define "clerksync.components" -}}
server{{ if .Values.worker.enabled }} worker{{ end }}
{{- end }}

{{- define "clerksync.componentName" -}}
{{ include "clerksync.name" .root }}{{ if eq .component "worker" }}-worker{{ end }}
{{- end }}

{{- define "clerksync.env" -}}
{{- $values := .root.Values }}
{{- $secret := required "existingSecret: name the Secret with CLERK_WEBHOOK_SECRET, DATABASE_URI, INNGEST_API_KEY and INNGEST_SIGNING_KEY" $values.existingSecret }}
{{- $bridge := eq .component "server" }}
{{- $functions := or (eq .component "worker") (not $values.worker.enabled) }}
{{- range $name := concat (ternary (list "CLERK_WEBHOOK_SECRET" "INNGEST_API_KEY") list $bridge) (ternary (list "DATABASE_URI" "INNGEST_SIGNING_KEY") list $functions) }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $name }}}
{{- end }}
{{- range $name := ternary (list "INNGEST_SIGNING_KEY_FALLBACK" "CLERK_SECRET_KEY") list $functions }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $name }}, optional: true}
{{- end }}
{{- if and $bridge $functions (not (hasKey $values.env "PUBLIC_URL")) }}
- name: PUBLIC_URL # where Inngest finds all replicas by one name
  value: {{ include "clerksync.url" .root }}
{{- end }}
{{- range $name, $value := $values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Without a default port, which Inngest leaves out, too: clerksync doctor compares the two. */}}
{{- define "clerksync.url" -}}
{{- if and .Values.ingress.enabled .Values.ingress.inngest }}https://{{ .Values.ingress.host }}{{ else }}http://{{ include "clerksync.name" . }}.{{ .Release.Namespace }}.svc{{ if ne (int .Values.service.port) 80 }}:{{ .Values.service.port }}{{ end }}{{ end }}
{{- end }}
