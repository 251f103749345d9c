package inngest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/inngest/inngestgo"
)

type fakeReconciler func(ctx context.Context, state string) (Reconciled, error)

func (f fakeReconciler) Reconcile(ctx context.Context, state string) (Reconciled, error) {
	return f(ctx, state)
}

// pages is a reconcile of n pages, whose state is the number of those done.
func pages(n int) fakeReconciler {
	return func(_ context.Context, state string) (Reconciled, error) {
		done, _ := strconv.Atoi(state)
		done++
		r := Reconciled{State: strconv.Itoa(done), Done: done == n}
		if r.Done {
			r.Result = map[string]int{"drift": 7}
		}
		return r, nil
	}
}

// run is one of Inngest's: what its steps came to is kept between the invocations.
type run struct {
	t       *testing.T
	handler http.Handler
	attempt int
	steps   map[string]json.RawMessage
	waits   []string
}

// op is what a function answers about a step: https://github.com/inngest/inngest/blob/main/docs/SDK_SPEC.md, 5.
type op struct {
	ID    string          `json:"id"`
	Op    string          `json:"op"`
	Data  json.RawMessage `json:"data"`
	Error json.RawMessage `json:"error"`
	Opts  struct {
		Duration string `json:"duration"`
	} `json:"opts"`
}

func newRun(t *testing.T, r Reconciler) *run {
	t.Helper()
	return &run{t: t, handler: newFunctions(t, fakeUsers{}, Options{Reconciler: r}).Handler(), steps: map[string]json.RawMessage{}}
}

// invoke returns the step that was done, or how the run ended.
func (r *run) invoke() (*op, result) {
	r.t.Helper()
	event := map[string]any{"name": ReconcileRequested, "data": map[string]any{}}
	body, err := json.Marshal(map[string]any{
		"event": event, "events": []any{event}, "steps": r.steps,
		"ctx": map[string]any{"run_id": "run_1", "attempt": r.attempt, "max_attempts": retriesOfReconcile + 1},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	signature, err := inngestgo.Sign(r.t.Context(), time.Now(), []byte(signingKey), body)
	if err != nil {
		r.t.Fatal(err)
	}
	url := Path + "?fnId=glowup-app-" + ReconcileUsers + "&stepId=step"
	req := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, url, bytes.NewReader(body))
	req.Header.Set("X-Inngest-Signature", signature)
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	if rec.Code != http.StatusPartialContent {
		return nil, result{rec.Code, rec.Header().Get("X-Inngest-No-Retry") == "true", strings.TrimSpace(rec.Body.String())}
	}
	var ops []op
	if err := json.Unmarshal(rec.Body.Bytes(), &ops); err != nil || len(ops) != 1 {
		r.t.Fatalf("want one step, got %s, error %v", rec.Body, err)
	}
	return &ops[0], result{}
}

// keep is what Inngest remembers of a step.
func (r *run) keep(o *op) {
	r.t.Helper()
	switch o.Op {
	case "StepRun":
		r.steps[o.ID] = json.RawMessage(`{"data":` + string(o.Data) + `}`)
	case "Sleep":
		r.steps[o.ID] = json.RawMessage(`null`)
		r.waits = append(r.waits, o.Opts.Duration)
	case "StepFailed":
		r.steps[o.ID] = json.RawMessage(`{"error":` + string(o.Error) + `}`)
	default:
		r.t.Fatalf("want a step that is done, got %s %s", o.Op, o.Error)
	}
}

// end plays a run to its end.
func (r *run) end() result {
	r.t.Helper()
	for range 1000 { // as many as Inngest allows
		o, ended := r.invoke()
		if o == nil {
			return ended
		}
		r.keep(o)
	}
	r.t.Fatal("the run has more steps than Inngest allows")
	return result{}
}

func TestReconcileIsAStepAPage(t *testing.T) {
	t.Parallel()
	var states []string
	three := pages(3)
	r := newRun(t, fakeReconciler(func(ctx context.Context, state string) (Reconciled, error) {
		states = append(states, state)
		next, err := three(ctx, state)
		if next.State == "2" {
			next.Wait = 30 * time.Second
		}
		return next, err
	}))
	if d := cmp.Diff(result{200, false, `{"drift":7}`}, r.end()); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"", "1", "2"}, states); d != "" {
		t.Errorf("states, each page done once (-want +got)\n%s", d)
	}
	if d := cmp.Diff([]string{"30s"}, r.waits); d != "" {
		t.Errorf("waits (-want +got)\n%s", d)
	}
	if want, got := 4, len(r.steps); want != got {
		t.Errorf("want %d steps, got %d", want, got)
	}
}

// Two million users have 6,500 pages; a run may have 1,000 steps.
func TestReconcileStepsGrow(t *testing.T) {
	t.Parallel()
	done, steps := 0, 0
	for ; done < 6500; steps++ {
		done += pagesOf(steps)
	}
	if steps > 900 { // some are waits
		t.Errorf("want 6,500 pages in under 1,000 steps, got %d", steps)
	}
	r := newRun(t, pages(12))
	r.end()
	if want, got := 11, len(r.steps); want != got {
		t.Errorf("want 12 pages in %d steps, got %d", want, got)
	}
}

// newReconcile is for what happens inside of a step.
func newReconcile(r fakeReconciler) *Functions {
	return &Functions{o: Options{Reconciler: r}.withDefaults(), metrics: newMetrics(nil)}
}

// A step ends in time, however many pages it may have.
func TestReconcileStepsAreShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newReconcile(func(_ context.Context, state string) (Reconciled, error) {
			<-time.After(4 * time.Second)
			return Reconciled{State: state + "."}, nil
		})
		next, err := f.reconcilePages(t.Context(), inngestgo.InputCtx{}, Reconciled{}, 50)
		if want := "..."; want != next.State || err != nil {
			t.Errorf("pages in a third of 30 s: want %q, got %q, error %v", want, next.State, err)
		}
	})
}

func TestReconcileKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	f := newReconcile(func(_ context.Context, state string) (Reconciled, error) {
		if state == ".." {
			return Reconciled{}, errors.New("clerk is away")
		}
		return Reconciled{State: state + "."}, nil
	})
	next, err := f.reconcilePages(t.Context(), inngestgo.InputCtx{}, Reconciled{}, 50)
	if want := ".."; want != next.State || err != nil {
		t.Errorf("want %q, got %q, error %v", want, next.State, err)
	}
	if _, err = f.reconcilePages(t.Context(), inngestgo.InputCtx{}, next, 50); err == nil {
		t.Error("want the next step to meet the error, got none")
	}
}

func TestReconcileIsRetried(t *testing.T) {
	t.Parallel()
	fail := errors.New("clerk is away")
	three := pages(3)
	calls := 0
	r := newRun(t, fakeReconciler(func(ctx context.Context, state string) (Reconciled, error) {
		calls++
		switch {
		case state != "1" || fail == nil:
			return three(ctx, state)
		case errors.Is(fail, ErrPanic):
			panic("canary")
		}
		return Reconciled{}, fail
	}))
	o, _ := r.invoke()
	r.keep(o)
	for _, fail = range []error{fail, ErrPanic} {
		o, ended := r.invoke()
		if o == nil || o.Op != "StepError" || !strings.Contains(string(o.Error), fail.Error()) || strings.Contains(string(o.Error), "canary") {
			t.Fatalf("want a step that failed by %q, got %+v %+v", fail, o, ended)
		}
	}
	fail = nil
	if d := cmp.Diff(result{200, false, `{"drift":7}`}, r.end()); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
	if want := 1 + 2 + 2; want != calls {
		t.Errorf("want %d pages tried, got %d", want, calls)
	}
}

func TestReconcileIsGivenUp(t *testing.T) {
	t.Parallel()
	r := newRun(t, fakeReconciler(func(context.Context, string) (Reconciled, error) { return Reconciled{}, errors.New("clerk is away") }))
	r.attempt = retriesOfReconcile
	want := result{500, true, `{"message":"unhandled step error: reconcile: clerk is away"}`}
	if d := cmp.Diff(want, r.end()); d != "" {
		t.Errorf("answer (-want +got)\n%s", d)
	}
}

// Inngest leaves large states out of an invocation, and the run would begin anew. Outside of a run, inngestgo does one step after the other.
func TestReconcileStatesAreBounded(t *testing.T) {
	t.Parallel()
	large, size := strings.Repeat("x", 1<<20), 0
	f := newReconcile(func(context.Context, string) (Reconciled, error) {
		size += len(large)
		return Reconciled{State: large, Done: size > 8<<20}, nil // of steps with one page each
	})
	if _, err := f.reconcileSteps(t.Context(), inngestgo.InputCtx{}); !errors.Is(err, errLargeState) || size > 4<<20 {
		t.Errorf("want %v before 4 MiB, got %v after %d bytes", errLargeState, err, size)
	}
}

func TestReconcileOnItsOwnEventsOnly(t *testing.T) {
	t.Parallel()
	f := newFunctions(t, fakeUsers{}, Options{Reconciler: fakeReconciler(func(context.Context, string) (Reconciled, error) {
		t.Error("want no reconcile")
		return Reconciled{Done: true}, nil
	})})
	got := invoke(t, f, ReconcileUsers, `{"name":"clerk/user.created","data":{"id":"user_1"}}`, nil)
	if want := (result{500, true, `{"message":"the event is not for this function"}`}); want != got {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

// registered is what a function is at Inngest.
type registered struct {
	ID       string `json:"id"`
	Triggers []struct {
		Event string `json:"event"`
		Cron  string `json:"cron"`
	} `json:"triggers"`
	Singleton *struct {
		Mode string `json:"mode"`
	} `json:"singleton"`
}

func TestReconcileIsRegistered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		o        Options
		triggers []string
	}{
		{"without a reconciler", Options{ReconcileCron: "30 4 * * *"}, nil},
		{"on request", Options{Reconciler: pages(1)}, []string{ReconcileRequested}},
		{"on a schedule, too", Options{Reconciler: pages(1), ReconcileCron: "30 4 * * *"}, []string{ReconcileRequested, "30 4 * * *"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var app struct {
				Functions []registered `json:"functions"`
			}
			inngest := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if err := json.NewDecoder(r.Body).Decode(&app); err != nil {
					t.Error(err)
				}
				// No body: inngestgo does not close it, and the connection would stay.
			}))
			t.Cleanup(inngest.Close)
			tt.o.Dev, tt.o.BaseURL = true, inngest.URL
			f, err := NewFunctions(fakeUsers{}, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			f.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, Path, nil))
			var triggers []string
			for _, fn := range app.Functions {
				if fn.ID != "glowup-app-"+ReconcileUsers {
					continue
				}
				for _, trigger := range fn.Triggers {
					triggers = append(triggers, trigger.Event+trigger.Cron)
				}
				if fn.Singleton == nil || fn.Singleton.Mode != "skip" {
					t.Errorf("want one run at a time, and the others skipped, got %+v", fn.Singleton)
				}
			}
			if len(app.Functions) < 5 {
				t.Errorf("want the functions registered, got %d of them: %s", len(app.Functions), rec.Body)
			}
			if d := cmp.Diff(tt.triggers, triggers); d != "" {
				t.Errorf("triggers (-want +got)\n%s", d)
			}
		})
	}
}
