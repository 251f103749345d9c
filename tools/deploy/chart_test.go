package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../../deploy/helm/clerksync"

// valueSets are what the chart is linted and rendered with.
var valueSets = map[string]string{
	"as it is": `{existingSecret: clerksync}`,
	"public": `
existingSecret: clerksync
ingress: {enabled: true, host: sync.example.com, inngest: true}
env: {FUNCTION_RETRIES: 20, LOG_LEVEL: debug, OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318"}
networkPolicy: {enabled: false}
podDisruptionBudget: {enabled: false}`,
	"everything": `
existingSecret: clerksync
image: {tag: 1.2.3}
imagePullSecrets: [{name: registry}]
env: {INNGEST_BASE_URL: "http://inngest.inngest.svc:8288", RECONCILE_CRON: "30 4 * * *", FUNCTION_CONCURRENCY: 100000}
autoscaling: {enabled: true}
service: {annotations: {a: b}}
ingress: {enabled: true, className: nginx, host: sync.example.com, tlsSecret: sync-example-com, annotations: {a: b}}
networkPolicy: {ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
podAnnotations: {a: b}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: a, operator: Exists}]`,
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// render is what `helm install` would send, by the template's file name.
func render(t *testing.T, text string) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	v, err := util.ToRenderValues(c, values(t, text), common.ReleaseOptions{Name: "sync", Namespace: "auth", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, v)
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for name, text := range files {
		byName[path.Base(name)] = text
	}
	return byName, nil
}

// manifests are the objects of a rendered chart; nil where one is not made.
type manifests struct {
	Deployment  *apps.Deployment
	Service     *core.Service
	Ingress     *networking.Ingress
	Autoscaler  *autoscaling.HorizontalPodAutoscaler
	Disruption  *policy.PodDisruptionBudget
	Network     *networking.NetworkPolicy
	Monitor     *monitoring.ServiceMonitor
	Rules       *monitoring.PrometheusRule
	Notes, text string
}

// kinds are the objects that the chart may make, each read by the type of its API: what that does not know is an error.
func (m *manifests) kinds() map[string]func(text []byte) error {
	return map[string]func([]byte) error{
		"apps/v1/Deployment":                      decode(&m.Deployment),
		"v1/Service":                              decode(&m.Service),
		"networking.k8s.io/v1/Ingress":            decode(&m.Ingress),
		"networking.k8s.io/v1/NetworkPolicy":      decode(&m.Network),
		"autoscaling/v2/HorizontalPodAutoscaler":  decode(&m.Autoscaler),
		"policy/v1/PodDisruptionBudget":           decode(&m.Disruption),
		"monitoring.coreos.com/v1/ServiceMonitor": decode(&m.Monitor),
		"monitoring.coreos.com/v1/PrometheusRule": decode(&m.Rules),
	}
}

func decode[T any](into **T) func([]byte) error {
	return func(text []byte) error {
		if *into != nil {
			return fmt.Errorf("a second %T", *into)
		}
		*into = new(T)
		return yaml.UnmarshalStrict(text, *into)
	}
}

func objects(t *testing.T, text string) manifests {
	t.Helper()
	files, err := render(t, text)
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	kinds := m.kinds()
	for name, text := range files {
		m.text += text
		switch {
		case name == "NOTES.txt":
			m.Notes = text
			continue
		case strings.TrimSpace(text) == "":
			continue
		}
		var kind struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		decode, known := kinds[kind.APIVersion+"/"+kind.Kind]
		if !known {
			t.Fatalf("%s: want a known kind, got %+v", name, kind)
		}
		if err := decode([]byte(text)); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
	}
	return m
}

func TestChartLints(t *testing.T) {
	t.Parallel()
	for name, text := range valueSets {
		for _, m := range lint.RunAll(chart, values(t, text), "auth").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, values, want string }{
		{"no secret's name", `{}`, "existingSecret: name the Secret with CLERK_WEBHOOK_SECRET"},
		{"a name that is not there", `{existingSecret: s, replicaCount: 3}`, "replicaCount"},
		{"a secret as a value", `{existingSecret: s, env: {CLERK_SECRET_KEY: sk_test_1}}`, "CLERK_SECRET_KEY"},
		{"dev mode", `{existingSecret: s, env: {INNGEST_DEV: "1"}}`, "INNGEST_DEV"},
		{"another port", `{existingSecret: s, env: {PORT: "80"}}`, "PORT"},
		{"an Ingress without a host", `{existingSecret: s, ingress: {enabled: true}}`, "ingress.host: the name that Clerk sends to"},
		{"replicas in words", `{existingSecret: s, replicas: two}`, "replicas"},
	} {
		if _, err := render(t, tt.values); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want an error with %q, got %v", tt.name, tt.want, err)
		}
	}
}

// The schema lets in each variable of the program that is no secret, and no other.
func TestChartKnowsTheVariables(t *testing.T) {
	t.Parallel()
	own := []string{"PORT", "INNGEST_DEV"} // the chart's port is one; nobody runs dev mode in a cluster
	for _, name := range variables(t) {
		_, err := render(t, `{existingSecret: s, env: {`+name+`: "1"}}`)
		want := !slices.Contains(own, name) && !slices.Contains(secretVariables, name)
		if got := err == nil; want != got {
			t.Errorf("env.%s: want it taken: %t, got %t: %v", name, want, got, err)
		}
	}
	if _, err := render(t, `{existingSecret: s, env: {LOGLEVEL: "1"}}`); err == nil {
		t.Error("env.LOGLEVEL: want it refused, it is no variable of the program")
	}
}

func TestChartMakes(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"as it is":   {"Deployment", "Disruption", "Network", "Service"},
		"public":     {"Deployment", "Ingress", "Service"},
		"everything": {"Autoscaler", "Deployment", "Disruption", "Ingress", "Monitor", "Network", "Rules", "Service"},
	}
	for name, text := range valueSets {
		m := objects(t, text)
		var got []string
		for kind, made := range map[string]bool{
			"Deployment": m.Deployment != nil, "Service": m.Service != nil, "Ingress": m.Ingress != nil, "Autoscaler": m.Autoscaler != nil,
			"Disruption": m.Disruption != nil, "Network": m.Network != nil, "Monitor": m.Monitor != nil, "Rules": m.Rules != nil,
		} {
			if made {
				got = append(got, kind)
			}
		}
		slices.Sort(got)
		if !slices.Equal(want[name], got) {
			t.Errorf("%s: want %v, got %v", name, want[name], got)
		}
	}
}

func TestChartContainsItsPods(t *testing.T) {
	t.Parallel()
	for name, text := range valueSets {
		pod := objects(t, text).Deployment.Spec.Template.Spec
		s := pod.SecurityContext
		if s == nil || !is(s.RunAsNonRoot, true) || !is(s.RunAsUser, 65532) || s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: want not root, and RuntimeDefault, got %+v", name, s)
		}
		if !is(pod.AutomountServiceAccountToken, false) {
			t.Errorf("%s: want no token of the API in the pod", name)
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if s == nil || !is(s.ReadOnlyRootFilesystem, true) || !is(s.AllowPrivilegeEscalation, false) || s.Capabilities == nil ||
				!slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
				t.Errorf("%s: %s: want a read-only root, no escalation, no capabilities, got %+v", name, c.Name, s)
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: %s: want requests and a limit of memory, got %+v", name, c.Name, c.Resources)
			}
		}
	}
}

func is[T comparable](p *T, want T) bool { return p != nil && *p == want }

func TestChartAgreesWithTheProgram(t *testing.T) {
	t.Parallel()
	for name, text := range valueSets {
		m := objects(t, text)
		pod := m.Deployment.Spec.Template.Spec
		c := pod.Containers[0]
		if !slices.Equal(c.Args, []string{"serve"}) || c.Command != nil {
			t.Errorf("%s: want the image's program to serve, got %v %v", name, c.Command, c.Args)
		}
		seen := map[string]bool{}
		for _, e := range c.Env {
			if seen[e.Name] {
				t.Errorf("%s: %s is set twice", name, e.Name)
			}
			seen[e.Name] = true
			if !slices.Contains(variables(t), e.Name) && !strings.HasPrefix(e.Name, "OTEL_") {
				t.Errorf("%s: %s is no variable of the program", name, e.Name)
			}
			ref := e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil
			if want := slices.Contains(secretVariables, e.Name); want != ref {
				t.Errorf("%s: %s: want a reference to the Secret: %t, got %+v", name, e.Name, want, e)
			}
			if ref {
				r := e.ValueFrom.SecretKeyRef
				needed := slices.Contains(secretVariables[:4], e.Name)
				if r.Name != "clerksync" || r.Key != e.Name || needed == is(r.Optional, true) {
					t.Errorf("%s: %s: want its key of the Secret, needed: %t, got %+v", name, e.Name, needed, r)
				}
			}
		}
		for _, e := range append(slices.Clone(secretVariables), "PUBLIC_URL") {
			if !seen[e] {
				t.Errorf("%s: want %s set", name, e)
			}
		}
		if len(c.Ports) != 1 || c.Ports[0].ContainerPort != port {
			t.Errorf("%s: want the port %d, got %+v", name, port, c.Ports)
		}
		for probe, p := range map[string]*core.Probe{"/readyz": c.StartupProbe, "/healthz": c.ReadinessProbe, "/healthz ": c.LivenessProbe} {
			if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != strings.TrimSpace(probe) || p.HTTPGet.Port.StrVal != c.Ports[0].Name {
				t.Errorf("%s: want a probe of %s, got %+v", name, probe, p)
			}
		}
		pause := int64(0)
		if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
			pause = c.Lifecycle.PreStop.Sleep.Seconds
		}
		if grace := pod.TerminationGracePeriodSeconds; pause == 0 || grace == nil || *grace < pause+int64(stopsWithin.Seconds()) {
			t.Errorf("%s: want a pause, and then %v to stop in, got %d of %v s", name, stopsWithin, pause, grace)
		}
		if !slices.ContainsFunc(m.Service.Spec.Ports, func(p core.ServicePort) bool { return p.TargetPort.StrVal == c.Ports[0].Name }) {
			t.Errorf("%s: want the Service to lead to the port %s, got %+v", name, c.Ports[0].Name, m.Service.Spec.Ports)
		}
	}
}

// Each object that picks pods picks the Deployment's, and each that names an object names one that is there.
func TestChartHangsTogether(t *testing.T) {
	t.Parallel()
	m := objects(t, valueSets["everything"])
	pods := m.Deployment.Spec.Template.Labels
	for _, label := range []string{"app.kubernetes.io/version", "helm.sh/chart"} { // an upgrade changes them, and a selector never may
		if m.Deployment.Spec.Selector.MatchLabels[label] != "" {
			t.Errorf("Deployment picks by %s", label)
		}
	}
	for what, selector := range map[string]map[string]string{
		"Deployment": m.Deployment.Spec.Selector.MatchLabels, "Service": m.Service.Spec.Selector, "PodDisruptionBudget": m.Disruption.Spec.Selector.MatchLabels,
		"NetworkPolicy": m.Network.Spec.PodSelector.MatchLabels, "spread": m.Deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		picked := maps.Equal(selector, m.Deployment.Spec.Selector.MatchLabels)
		for label, value := range selector {
			picked = picked && pods[label] == value
		}
		if !picked {
			t.Errorf("%s picks %v, the pods have %v", what, selector, pods)
		}
	}
	for label, value := range m.Monitor.Spec.Selector.MatchLabels {
		if m.Service.Labels[label] != value {
			t.Errorf("ServiceMonitor picks %s=%s, the Service has %v", label, value, m.Service.Labels)
		}
	}
	if e := m.Monitor.Spec.Endpoints[0]; e.Path != "/metrics" || e.Port != m.Service.Spec.Ports[0].Name {
		t.Errorf("ServiceMonitor: want /metrics at the Service's port, got %+v", e)
	}
	if r := m.Autoscaler.Spec.ScaleTargetRef; r.Name != m.Deployment.Name || r.Kind != "Deployment" || r.APIVersion != "apps/v1" {
		t.Errorf("HorizontalPodAutoscaler: want the Deployment, got %+v", r)
	}
	if m.Deployment.Spec.Replicas != nil {
		t.Error("Deployment: want no number of replicas beside the autoscaler's")
	}
	for _, rule := range m.Ingress.Spec.Rules {
		for _, p := range rule.HTTP.Paths {
			if b := p.Backend.Service; b.Name != m.Service.Name || b.Port.Name != m.Service.Spec.Ports[0].Name {
				t.Errorf("Ingress: want the Service, got %+v", b)
			}
		}
	}
	if m.Deployment.Labels["app.kubernetes.io/version"] != "1.2.3" || !strings.HasSuffix(m.Deployment.Spec.Template.Spec.Containers[0].Image, ":1.2.3") {
		t.Errorf("want the image's tag, got %v", m.Deployment.Labels)
	}
}

// From outside there is the webhook, and Inngest's route only where somebody says so.
func TestChartExposesTheWebhookAlone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{"everything": {webhookPath}, "public": {webhookPath, inngestPath}} {
		m := objects(t, valueSets[name])
		var got []string
		for _, rule := range m.Ingress.Spec.Rules {
			for _, p := range rule.HTTP.Paths {
				if *p.PathType != networking.PathTypeExact || rule.Host != "sync.example.com" {
					t.Errorf("%s: want exactly the path of the host, got %+v", name, p)
				}
				got = append(got, p.Path)
			}
		}
		if !slices.Equal(want, got) {
			t.Errorf("%s: want %v, got %v", name, want, got)
		}
		url := map[string]string{"everything": "http://sync-clerksync.auth.svc:80", "public": "https://sync.example.com"}[name]
		if !strings.Contains(m.text, "value: "+url+"\n") || !strings.Contains(m.Notes, url+inngestPath) {
			t.Errorf("%s: want Inngest to find the functions at %s, got\n%s", name, url, m.Notes)
		}
		if !strings.Contains(m.Notes, "https://sync.example.com"+webhookPath) {
			t.Errorf("%s: want the webhook's URL in the notes, got\n%s", name, m.Notes)
		}
	}
	if m := objects(t, valueSets["as it is"]); m.Service.Spec.Type != core.ServiceTypeClusterIP {
		t.Errorf("want a Service for inside, got %s", m.Service.Spec.Type)
	}
}

func TestChartNetworkPolicy(t *testing.T) {
	t.Parallel()
	m := objects(t, valueSets["everything"])
	spec := m.Network.Spec
	if !slices.Equal(spec.PolicyTypes, []networking.PolicyType{"Ingress", "Egress"}) || len(spec.Ingress) != 1 || len(spec.Egress) != 1 {
		t.Fatalf("want one rule each way, got %+v", spec)
	}
	if in := spec.Ingress[0]; len(in.From) != 1 || in.From[0].NamespaceSelector == nil || len(in.Ports) != 1 || in.Ports[0].Port.StrVal != "http" {
		t.Errorf("want the peers of ingressFrom at the program's port, got %+v", in)
	}
	var out []string
	for _, p := range spec.Egress[0].Ports {
		out = append(out, fmt.Sprintf("%s %d", *p.Protocol, p.Port.IntValue()))
	}
	want := []string{"UDP 53", "TCP 53", "TCP 443", "TCP 8288", "TCP 8289", "TCP 27015", "TCP 27016", "TCP 27017"}
	if !slices.Equal(want, out) {
		t.Errorf("want out %v, got %v", want, out)
	}
}

// The PrometheusRule has the alerts of deploy/prometheus as they are, which other tests let fire.
func TestChartHasTheAlerts(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, g := range objects(t, valueSets["everything"]).Rules.Spec.Groups {
		for _, r := range g.Rules {
			got[r.Alert] = fmt.Sprintf("%s %s %v", r.Expr.StrVal, *cmpOr(r.For), slices.Sorted(maps.Values(r.Annotations)))
		}
	}
	want := map[string]string{}
	for name, r := range rules(t) {
		f := monitoring.Duration(r.For.String())
		want[name] = fmt.Sprintf("%s %s %v", r.Expr, f, slices.Sorted(maps.Values(r.Annotations)))
	}
	if !maps.Equal(want, got) {
		t.Errorf("want the alerts of deploy/prometheus/alerts.yml\n%v\ngot\n%v", want, got)
	}
}

func cmpOr(d *monitoring.Duration) *monitoring.Duration {
	if d == nil {
		zero := monitoring.Duration("0s")
		return &zero
	}
	return d
}

// docs/capacity.md reckons in processes of one core, used to 60 % at the peak.
func TestChartAgreesWithCapacity(t *testing.T) {
	t.Parallel()
	share := found(t, "../../docs/capacity.md", `use of a core at the peak \| (\d+) %`)[0]
	m := objects(t, valueSets["everything"])
	if target := m.Autoscaler.Spec.Metrics[0].Resource.Target; target.AverageValue == nil || fmt.Sprint(target.AverageValue.MilliValue()) != share+"0" {
		t.Errorf("want another replica from %s %% of a core on, got %+v", share, target)
	}
	if cpu := m.Deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Cpu(); cpu.MilliValue() != 1000 {
		t.Errorf("want processes of one core, got %v", cpu)
	}
	if got := *m.Autoscaler.Spec.MinReplicas; got != 2 {
		t.Errorf("want two replicas at least, got %d", got)
	}
}

// The schema is JSON Schema, and says of each value of values.yaml what it may be.
func TestChartSchemaKnowsEachValue(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	for name := range values(t, read(t, chart+"/values.yaml")) {
		if schema.Properties[name] == nil {
			t.Errorf("values.schema.json does not know %s", name)
		}
	}
}
