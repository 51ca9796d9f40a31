{{/* Names and labels. What the real chart takes from sub-charts is named after the release, the rest after fullname. */}}

{{- define "stack.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "stack.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 26 | trimSuffix "-" }}
{{- end }}

{{/* Labels of an object. Give (list $ "prometheus"), the second being what follows the chart's name in label `app`. */}}
{{- define "stack.labels" -}}
{{- $ := index . 0 -}}
app: {{ include "stack.name" $ }}{{ with index . 1 }}-{{ . }}{{ end }}
{{ include "stack.commonLabels" $ }}
{{- end }}

{{- define "stack.commonLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/part-of: {{ include "stack.name" . }}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
release: {{ .Release.Name | quote }}
heritage: {{ .Release.Service | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Selector of a part that is a sub-chart in the real chart. Give (list $ "grafana"). */}}
{{- define "stack.partSelector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* Labels of an object of such a part. */}}
{{- define "stack.partLabels" -}}
{{ include "stack.partSelector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
release: {{ (index . 0).Release.Name | quote }}
{{- end }}

{{/* Give an image of the values: {registry, repository, tag}. */}}
{{- define "stack.image" -}}
{{ .registry }}/{{ .repository }}:{{ .tag }}
{{- end }}
