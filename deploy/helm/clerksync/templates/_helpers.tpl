{{- define "clerksync.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "clerksync.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "clerksync.labels" -}}
{{ include "clerksync.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The environment: secrets by reference, the rest from values. */}}
{{- define "clerksync.env" -}}
{{- $secret := required "existingSecret: name the Secret with CLERK_WEBHOOK_SECRET, DATABASE_URI, INNGEST_API_KEY and INNGEST_SIGNING_KEY" .Values.existingSecret }}
{{- range $name := list "CLERK_WEBHOOK_SECRET" "DATABASE_URI" "INNGEST_API_KEY" "INNGEST_SIGNING_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $name }}}
{{- end }}
{{- range $name := list "INNGEST_SIGNING_KEY_FALLBACK" "CLERK_SECRET_KEY" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $name }}, optional: true}
{{- end }}
{{- if not (hasKey .Values.env "PUBLIC_URL") }}
{{- if and .Values.ingress.enabled .Values.ingress.inngest }}
- name: PUBLIC_URL
  value: https://{{ .Values.ingress.host }}
{{- else }}
- name: PUBLIC_URL # inside: all replicas by one name
  value: http://{{ include "clerksync.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
