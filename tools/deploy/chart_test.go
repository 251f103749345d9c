package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
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
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
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
	"workers": `
existingSecret: clerksync
worker: {enabled: true, replicas: 3}
replicas: 4
env: {LOG_LEVEL: debug}
ingress: {enabled: true, host: sync.example.com}
serviceMonitor: {enabled: true}`,
	"another port": `
existingSecret: clerksync
service: {port: 8080}`,
	"workers, scaled": `
existingSecret: clerksync
worker: {enabled: true}
autoscaling: {enabled: true}`,
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

// cluster is what `lookup` asks, with the Deployments that run there.
type cluster []*apps.Deployment

func (c cluster) GetClientFor(string, string) (dynamic.NamespaceableResourceInterface, bool, error) {
	scheme := runtime.NewScheme()
	if err := apps.AddToScheme(scheme); err != nil {
		return nil, false, err
	}
	var all []runtime.Object
	for _, d := range c {
		all = append(all, d)
	}
	return fake.NewSimpleDynamicClient(scheme, all...).Resource(apps.SchemeGroupVersion.WithResource("deployments")), true, nil
}

// render is what `helm install` would send, or `helm upgrade` where something is running, by the template's file name.
func render(t *testing.T, text string, running ...*apps.Deployment) (map[string]string, error) {
	t.Helper()
	c, err := loader.Load(chart)
	if err != nil {
		t.Fatal(err)
	}
	v, err := util.ToRenderValues(c, values(t, text), common.ReleaseOptions{Name: "sync", Namespace: "auth", IsInstall: true}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.RenderWithClientProvider(c, v, cluster(running))
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for name, text := range files {
		byName[path.Base(name)] = text
	}
	return byName, nil
}

// component is what the chart makes for the server, and for the workers.
type component struct {
	Deployment *apps.Deployment
	Service    *core.Service
	Autoscaler *autoscaling.HorizontalPodAutoscaler
	Disruption *policy.PodDisruptionBudget
}

// manifests are the objects of a rendered chart; nil where one is not made.
type manifests struct {
	component // the server's
	Worker    component
	Ingress   *networking.Ingress
	Network   *networking.NetworkPolicy
	Monitor   *monitoring.ServiceMonitor
	Rules     *monitoring.PrometheusRule

	Made        []string // kinds, with the component
	Notes, text string
}

// components are those that are made.
func (m *manifests) components() map[string]component {
	all := map[string]component{"server": m.component}
	if m.Worker.Deployment != nil {
		all["worker"] = m.Worker
	}
	return all
}

// kinds are the objects that the chart may make, each read by the type of its API: what that does not know is an error.
func (m *manifests) kinds() map[string]func(text []byte) error {
	kinds := map[string]func([]byte) error{
		"networking.k8s.io/v1/Ingress":            decode(&m.Ingress),
		"networking.k8s.io/v1/NetworkPolicy":      decode(&m.Network),
		"monitoring.coreos.com/v1/ServiceMonitor": decode(&m.Monitor),
		"monitoring.coreos.com/v1/PrometheusRule": decode(&m.Rules),
	}
	for name, c := range map[string]*component{"server": &m.component, "worker": &m.Worker} {
		kinds["apps/v1/Deployment "+name] = decode(&c.Deployment)
		kinds["v1/Service "+name] = decode(&c.Service)
		kinds["autoscaling/v2/HorizontalPodAutoscaler "+name] = decode(&c.Autoscaler)
		kinds["policy/v1/PodDisruptionBudget "+name] = decode(&c.Disruption)
	}
	return kinds
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

func objects(t *testing.T, text string, running ...*apps.Deployment) manifests {
	t.Helper()
	files, err := render(t, text, running...)
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	kinds := m.kinds()
	for name, text := range files {
		m.text += text
		if name == "NOTES.txt" {
			m.Notes = text
			continue
		}
		for text := range strings.SplitSeq(text, "\n---\n") {
			if strings.TrimSpace(text) == "" {
				continue
			}
			var kind struct {
				APIVersion, Kind string
				Metadata         struct{ Labels map[string]string }
			}
			if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			id := strings.TrimSpace(kind.APIVersion + "/" + kind.Kind + " " + kind.Metadata.Labels["app.kubernetes.io/component"])
			decode, known := kinds[id]
			if !known {
				t.Fatalf("%s: want a known kind, got %s", name, id)
			}
			if err := decode([]byte(text)); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			m.Made = append(m.Made, id[strings.LastIndexByte(id, '/')+1:])
		}
	}
	slices.Sort(m.Made)
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
		{"functions called from outside that workers run", `{existingSecret: s, worker: {enabled: true}, ingress: {enabled: true, host: a, inngest: true}}`, "ingress.inngest: workers"},
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
	server := []string{"Deployment server", "Service server"}
	worker := []string{"Deployment worker", "Service worker"}
	both := []string{"PodDisruptionBudget server", "PodDisruptionBudget worker", "NetworkPolicy"}
	scalers := []string{"HorizontalPodAutoscaler server", "HorizontalPodAutoscaler worker"}
	want := map[string][]string{
		"as it is":        slices.Concat(server, both[:1], both[2:]),
		"another port":    slices.Concat(server, both[:1], both[2:]),
		"public":          slices.Concat(server, []string{"Ingress"}),
		"workers":         slices.Concat(server, worker, both, []string{"Ingress", "ServiceMonitor"}),
		"workers, scaled": slices.Concat(server, worker, both, scalers),
		"everything":      slices.Concat(server, both[:1], both[2:], scalers[:1], []string{"Ingress", "ServiceMonitor", "PrometheusRule"}),
	}
	for name, text := range valueSets {
		slices.Sort(want[name])
		if got := objects(t, text).Made; !slices.Equal(want[name], got) {
			t.Errorf("%s: want %v, got %v", name, want[name], got)
		}
	}
}

func TestChartContainsItsPods(t *testing.T) {
	t.Parallel()
	for set, text := range valueSets {
		m := objects(t, text)
		for component, made := range m.components() {
			name := set + ": " + component
			pod := made.Deployment.Spec.Template.Spec
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
					t.Errorf("%s: want a read-only root, no escalation, no capabilities, got %+v", name, s)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: want requests and a limit of memory, got %+v", name, c.Resources)
				}
			}
		}
	}
}

func is[T comparable](p *T, want T) bool { return p != nil && *p == want }

// requires are the variables that a program requires in cloud mode, as docs/configuration.md says.
func requires(t *testing.T, program string) []string {
	t.Helper()
	row := found(t, "../../docs/configuration.md", "(?m)^\\| `"+program+"` \\| (.*) \\|$")[0]
	return strings.Split(strings.ReplaceAll(row, "`", ""), ", ")
}

func TestChartAgreesWithTheProgram(t *testing.T) {
	t.Parallel()
	for set, text := range valueSets {
		m := objects(t, text)
		for component, made := range m.components() {
			name := set + ": " + component
			pod := made.Deployment.Spec.Template.Spec
			c := pod.Containers[0]
			args := []string{"serve"}
			switch {
			case component == "worker":
				args = []string{"worker"}
			case m.Worker.Deployment != nil:
				args = append(args, "--no-functions")
			}
			if !slices.Equal(args, c.Args) || c.Command != nil {
				t.Errorf("%s: want the image's program with %v, got %v %v", name, args, c.Command, c.Args)
			}
			checkEnv(t, name, c.Env, requires(t, "clerksync "+strings.Join(args, " ")))
			if len(c.Ports) != 1 || c.Ports[0].ContainerPort != port {
				t.Fatalf("%s: want the port %d, got %+v", name, port, c.Ports)
			}
			ready := map[string]string{"server": "/healthz", "worker": "/readyz"}[component]
			for _, probe := range []struct {
				is   *core.Probe
				path string
			}{{c.StartupProbe, "/readyz"}, {c.ReadinessProbe, ready}, {c.LivenessProbe, "/healthz"}} {
				if p := probe.is; p == nil || p.HTTPGet == nil || p.HTTPGet.Path != probe.path || p.HTTPGet.Port.StrVal != c.Ports[0].Name {
					t.Errorf("%s: want a probe of %s, got %+v", name, probe.path, p)
				}
			}
			pause := int64(0)
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
				pause = c.Lifecycle.PreStop.Sleep.Seconds
			}
			if pause == 0 && component == "server" {
				t.Errorf("%s: want a pause before it refuses connections", name)
			}
			if grace := pod.TerminationGracePeriodSeconds; grace == nil || *grace < pause+int64(stopsWithin.Seconds()) {
				t.Errorf("%s: want after a pause of %d s still %v to stop in, got %v", name, pause, stopsWithin, grace)
			}
			if p := made.Service.Spec.Ports; len(p) != 1 || p[0].TargetPort.StrVal != c.Ports[0].Name {
				t.Errorf("%s: want the Service to lead to the port %s, got %+v", name, c.Ports[0].Name, p)
			}
		}
	}
}

// checkEnv wants what is required and no other secret that is, each by reference, and else only variables of the program.
func checkEnv(t *testing.T, name string, env []core.EnvVar, required []string) {
	t.Helper()
	var needed []string
	seen := map[string]bool{}
	for _, e := range env {
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
		if !ref {
			continue
		}
		r := e.ValueFrom.SecretKeyRef
		if r.Name != "clerksync" || r.Key != e.Name {
			t.Errorf("%s: %s: want its key of the Secret, got %+v", name, e.Name, r)
		}
		if !is(r.Optional, true) {
			needed = append(needed, e.Name)
		}
	}
	slices.Sort(needed)
	if want := slices.Sorted(slices.Values(required)); !slices.Equal(want, needed) {
		t.Errorf("%s: want the secrets %v and no others, got %v", name, want, needed)
	}
	functions := slices.Contains(required, "DATABASE_URI")
	for _, optional := range []string{"INNGEST_SIGNING_KEY_FALLBACK", "CLERK_SECRET_KEY"} {
		if seen[optional] != functions {
			t.Errorf("%s: want %s: %t, got %t", name, optional, functions, seen[optional])
		}
	}
}

// Each object that picks pods picks the Deployment's, and each that names an object names one that is there.
func TestChartHangsTogether(t *testing.T) {
	t.Parallel()
	for set, text := range valueSets {
		m := objects(t, text)
		for component, made := range m.components() {
			name := set + ": " + component
			selector := made.Deployment.Spec.Selector.MatchLabels
			for _, label := range []string{"app.kubernetes.io/version", "helm.sh/chart"} { // an upgrade changes them, and a selector never may
				if selector[label] != "" {
					t.Errorf("%s: picked by %s", name, label)
				}
			}
			if selector["app.kubernetes.io/component"] != component {
				t.Errorf("%s: want its own pods picked, got %v", name, selector)
			}
			picks := map[string]map[string]string{
				"Deployment": selector, "Service": made.Service.Spec.Selector,
				"spread": made.Deployment.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
			}
			if made.Disruption != nil {
				picks["PodDisruptionBudget"] = made.Disruption.Spec.Selector.MatchLabels
			}
			for what, got := range picks {
				if !maps.Equal(selector, got) || !within(got, made.Deployment.Spec.Template.Labels) {
					t.Errorf("%s: %s picks %v, want %v of %v", name, what, got, selector, made.Deployment.Spec.Template.Labels)
				}
			}
			if m.Network != nil && !within(m.Network.Spec.PodSelector.MatchLabels, made.Deployment.Spec.Template.Labels) {
				t.Errorf("%s: NetworkPolicy picks %v", name, m.Network.Spec.PodSelector.MatchLabels)
			}
			if m.Monitor != nil {
				if e := m.Monitor.Spec.Endpoints[0]; e.Path != "/metrics" || e.Port != made.Service.Spec.Ports[0].Name || !within(m.Monitor.Spec.Selector.MatchLabels, made.Service.Labels) {
					t.Errorf("%s: want the ServiceMonitor to ask its Service for /metrics, got %+v", name, m.Monitor.Spec)
				}
			}
			if made.Autoscaler == nil {
				if made.Deployment.Spec.Replicas == nil {
					t.Errorf("%s: want a number of replicas", name)
				}
				continue
			}
			if r := made.Autoscaler.Spec.ScaleTargetRef; r.Name != made.Deployment.Name || r.Kind != "Deployment" || r.APIVersion != "apps/v1" || made.Deployment.Spec.Replicas != nil {
				t.Errorf("%s: want the autoscaler alone to scale the Deployment, got %+v, %v", name, r, made.Deployment.Spec.Replicas)
			}
		}
		if m.Ingress != nil {
			for _, p := range m.Ingress.Spec.Rules[0].HTTP.Paths {
				if b := p.Backend.Service; b.Name != m.Service.Name || b.Port.Name != m.Service.Spec.Ports[0].Name {
					t.Errorf("%s: Ingress: want the server's Service, got %+v", set, b)
				}
			}
		}
	}
	if m := objects(t, valueSets["workers"]); *m.Deployment.Spec.Replicas != 4 || *m.Worker.Deployment.Spec.Replicas != 3 {
		t.Errorf("want 4 servers and 3 workers, got %d, %d", *m.Deployment.Spec.Replicas, *m.Worker.Deployment.Spec.Replicas)
	}
	if m := objects(t, valueSets["everything"]); m.Deployment.Labels["app.kubernetes.io/version"] != "1.2.3" || !strings.HasSuffix(m.Deployment.Spec.Template.Spec.Containers[0].Image, ":1.2.3") {
		t.Errorf("want the image's tag, got %v", m.Deployment.Labels)
	}
	// tools/release.sh pushes v1.2.3 for the version 1.2.3.
	version := found(t, chart+"/Chart.yaml", `(?m)^appVersion: (\d.*)$`)[0]
	if m := objects(t, valueSets["as it is"]); !strings.HasSuffix(m.Deployment.Spec.Template.Spec.Containers[0].Image, ":v"+version) {
		t.Errorf("want the image of the release v%s, got %s", version, m.Deployment.Spec.Template.Spec.Containers[0].Image)
	}
}

// Where autoscaling is enabled on a running release, as many go on running as did.
func TestChartKeepsTheReplicasThatRun(t *testing.T) {
	t.Parallel()
	before := objects(t, valueSets["workers"])
	var running []*apps.Deployment
	for _, c := range before.components() {
		c.Deployment.Namespace = "auth"
		running = append(running, c.Deployment)
	}
	after := objects(t, valueSets["workers, scaled"], running...)
	if server, worker := after.Deployment.Spec.Replicas, after.Worker.Deployment.Spec.Replicas; !is(server, 4) || !is(worker, 3) {
		t.Errorf("want 4 servers and 3 workers, as before, got %v, %v", server, worker)
	}
}

func within(part, all map[string]string) bool {
	for key, value := range part {
		if all[key] != value {
			return false
		}
	}
	return len(part) > 0
}

// From outside there is the webhook, and Inngest's route only where somebody says so.
func TestChartExposesTheWebhookAlone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{"everything": {webhookPath}, "workers": {webhookPath}, "public": {webhookPath, inngestPath}} {
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
		if url := map[string]string{"everything": "http://sync-clerksync.auth.svc", "public": "https://sync.example.com"}[name]; url == "" {
			if strings.Contains(m.text, "PUBLIC_URL") || strings.Contains(m.Notes, inngestPath) {
				t.Errorf("%s: want nobody to call the functions, got\n%s", name, m.Notes)
			}
		} else if !strings.Contains(m.text, "value: "+url+"\n") || !strings.Contains(m.Notes, url+inngestPath) {
			t.Errorf("%s: want Inngest to find the functions at %s, got\n%s", name, url, m.Notes)
		}
		if !strings.Contains(m.Notes, "https://sync.example.com"+webhookPath) {
			t.Errorf("%s: want the webhook's URL in the notes, got\n%s", name, m.Notes)
		}
	}
	m := objects(t, valueSets["another port"])
	if m.Service.Spec.Type != core.ServiceTypeClusterIP {
		t.Errorf("want a Service for inside, got %s", m.Service.Spec.Type)
	}
	if url := "http://sync-clerksync.auth.svc:8080"; m.Service.Spec.Ports[0].Port != 8080 || !strings.Contains(m.text, "value: "+url+"\n") {
		t.Errorf("want the functions at %s, got\n%s", url, m.text)
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

// The manifest that docs/deployment.md shows is one, and as contained as the chart's pods.
func TestJobOfTheDocs(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(read(t, "../../docs/deployment.md"), "   # once.yaml\n")
	text, _, _ = strings.Cut(text, "   ```\n")
	var job batch.Job
	if err := yaml.UnmarshalStrict([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	if job.Kind != "Job" || len(pod.Containers) != 1 || !slices.Equal(pod.Containers[0].Args, []string{"backfill"}) {
		t.Errorf("want a Job that loads all users, got %+v", job)
	}
	m := objects(t, valueSets["as it is"])
	want := m.Deployment.Spec.Template.Spec
	want.SecurityContext.RunAsGroup = nil
	if !reflect.DeepEqual(want.SecurityContext, pod.SecurityContext) || !reflect.DeepEqual(want.Containers[0].SecurityContext, pod.Containers[0].SecurityContext) {
		t.Errorf("want it as contained as the chart's pods, got %+v, %+v", pod.SecurityContext, pod.Containers[0].SecurityContext)
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
