{{- define "medloop.labels" -}}
app.kubernetes.io/name: medloop
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What every pod has: no root, nowhere to write but its volumes, placement. */}}
{{- define "medloop.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "medloop.closed" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "medloop.trainer" -}}
name: trainer
image: {{ .Values.retrain.image }}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
  - secretRef: {name: {{ .Values.secret.trainer }}}
{{ include "medloop.closed" . }}
resources: {{- toYaml .Values.retrain.resources | nindent 2 }}
volumeMounts:
  - {name: scratch, mountPath: /state}
  - {name: scratch, mountPath: /tmp, subPath: tmp}
{{- end }}
