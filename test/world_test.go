package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/glowup-app/clerksync/store/embedded"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// world is everything that a webhook passes on its way to a document.
type world struct {
	t         *testing.T
	app       *process
	apps      []*process // app, and those before it
	dev       *process   // Inngest's
	appURL    string
	devURL    string
	dbURI     string // with the database's name
	users     *mongo.Collection
	env       []string
	apart     bool // serve takes webhooks only
	stopDB    func()
	noInngest bool
}

var serial atomic.Int64

// newWorld starts what the options do not leave out, and waits until a webhook would pass.
func newWorld(t *testing.T, opts ...func(*world)) *world {
	t.Helper()
	needInngest(t)
	w := &world{t: t}
	w.devURL = "http://127.0.0.1:" + freePort(t)
	w.appURL = "http://127.0.0.1:" + freePort(t)
	w.env = []string{"CLERK_WEBHOOK_SECRET=" + secret, "INNGEST_DEV=" + w.devURL}
	for _, o := range opts {
		o(w)
	}
	if w.dbURI == "" {
		w.startDatabase("127.0.0.1:0")
	}
	w.connect()
	w.startApp()
	if !w.noInngest {
		w.startInngest()
	}
	return w
}

func withoutInngest(w *world) { w.noInngest = true }

func with(env ...string) func(*world) {
	return func(w *world) { w.env = append(w.env, env...) }
}

// startDatabase starts one on addr, or takes a database of its own on the server that TEST_DATABASE_URI names.
func (w *world) startDatabase(addr string) {
	w.t.Helper()
	name := fmt.Sprintf("e2e_%d_%d", os.Getpid(), serial.Add(1))
	if uri := os.Getenv("TEST_DATABASE_URI"); uri != "" && addr == "127.0.0.1:0" {
		before, query, _ := strings.Cut(uri, "?")
		w.dbURI = strings.TrimRight(before, "/") + "/" + name + "?" + query
		return
	}
	db, err := embedded.Start(w.t.Context(), addr, "")
	if err != nil {
		w.t.Fatal(err)
	}
	if w.dbURI == "" { // else the program has been told already
		w.dbURI = db.URI() + name
	}
	w.stopDB = func() {
		if err := db.Stop(); err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(w.stopDB)
}

func (w *world) connect() {
	w.t.Helper()
	db, err := mongo.Connect(options.Client().ApplyURI(w.dbURI).SetServerSelectionTimeout(deadline))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), 5*time.Second)
		defer cancel()
		_ = db.Disconnect(ctx) // the database may be gone
	})
	path := w.dbURI[strings.LastIndexByte(w.dbURI, '/')+1:]
	name, _, _ := strings.Cut(path, "?")
	w.users = db.Database(name).Collection("users")
}

func (w *world) startApp() {
	w.t.Helper()
	port := w.appURL[strings.LastIndexByte(w.appURL, ':')+1:]
	env, args := append([]string{"PORT=" + port}, w.env...), []string{"serve", "--no-functions"}
	if !w.apart {
		env, args = append([]string{"DATABASE_URI=" + w.dbURI}, env...), args[:1]
	}
	w.app = start(w.t, env, binary, args...)
	w.apps = append(w.apps, w.app)
	w.app.listens(w.appURL+"/healthz", http.StatusOK)
}

// startInngest starts the Dev Server, and waits until it knows the functions.
func (w *world) startInngest() {
	w.t.Helper()
	w.startDevServer("-u", w.appURL+"/api/inngest")
	w.awaitFunctions()
}

func (w *world) startDevServer(args ...string) {
	w.t.Helper()
	port := w.devURL[strings.LastIndexByte(w.devURL, ':')+1:]
	// Its key queues keep one user's waiting event from holding up everybody else's, as Inngest Cloud's do. With Connect, they let
	// a user's next event wait for half a minute (v1.43).
	w.dev = start(w.t, []string{fmt.Sprint("EXPERIMENTAL_KEY_QUEUES_ENABLE=", !w.apart)}, inngest, append([]string{
		"dev", "--no-discovery", "--no-poll", "--tick", "50", "--retry-interval", "1", "--host", "127.0.0.1", "--port", port,
		"--connect-gateway-port", freePort(w.t), "--connect-gateway-grpc-port", freePort(w.t), "--connect-executor-grpc-port", freePort(w.t),
	}, args...)...)
	w.dev.listens(w.devURL+"/health", http.StatusOK)
}

func (w *world) awaitFunctions() {
	w.t.Helper()
	waitFor(w.t, "the functions at the Dev Server", func() bool {
		return strings.Contains(w.askInngest(`{ functions { slug } }`), "sync-user-from-clerk")
	})
}

// register lets the program tell the Dev Server its functions anew. The Dev Server asks for them once: each time that it
// asks again takes its time from others.
func (w *world) register(want int) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPut, w.appURL+"/api/inngest", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.StatusCode; want != got {
		w.t.Errorf("register: want status %d, got %d", want, got)
	}
}

// askInngest is the Dev Server's answer to a GraphQL query, empty where there is none.
func (w *world) askInngest(query string) string {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.devURL+"/v0/gql", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// webhook is what Svix sends for Clerk.
type webhook struct {
	id     string // default: a new one
	typ    string
	ts     int64 // of the envelope, Unix milliseconds; default: now
	data   map[string]any
	secret string // default: the world's
	prefix string // default: svix
	// sentAfter sets the sender's clock off, as of when it is sent: a parallel test may have waited by then.
	sentAfter time.Duration
}

type answer struct {
	status     int
	body       string
	retryAfter string
}

var prefix = fmt.Sprintf("%d", time.Now().UnixNano())

func newID(kind string) string { return fmt.Sprintf("%s_%s_%d", kind, prefix, serial.Add(1)) }

func (w *world) post(h webhook) answer {
	w.t.Helper()
	a, err := w.tryPost(h)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// tryPost returns an error where there was no answer.
func (w *world) tryPost(h webhook) (answer, error) {
	if h.ts == 0 {
		h.ts = time.Now().UnixMilli()
	}
	body, err := json.Marshal(map[string]any{
		"type": h.typ, "timestamp": h.ts, "data": h.data, "object": "event", "instance_id": "ins_test",
		"event_attributes": map[string]any{"http_request": map[string]any{"client_ip": "203.0.113.7", "user_agent": "test"}},
	})
	if err != nil {
		return answer{}, err
	}
	return w.postBody(h, body)
}

func (w *world) postBody(h webhook, body []byte) (answer, error) {
	sentAt := time.Now().Add(h.sentAfter)
	if h.secret == "" {
		h.secret = secret
	}
	if h.prefix == "" {
		h.prefix = "svix"
	}
	wh, err := svix.NewWebhook(h.secret)
	if err != nil {
		return answer{}, err
	}
	signature, err := wh.Sign(h.id, sentAt, body)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.appURL+"/api/webhooks/clerk", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(h.prefix+"-id", h.id)
	req.Header.Set(h.prefix+"-timestamp", fmt.Sprint(sentAt.Unix()))
	req.Header.Set(h.prefix+"-signature", signature)
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, strings.TrimSpace(string(text)), resp.Header.Get("Retry-After")}, err
}

// send posts an event about a user, and returns its id.
func (w *world) send(typ string, data map[string]any) string {
	w.t.Helper()
	h := webhook{id: newID("msg"), typ: typ, data: data}
	if want, got := (answer{status: 200, body: fmt.Sprintf(`{"id":%q}`, h.id)}), w.post(h); want != got {
		w.t.Fatalf("answer to %s: want %+v, got %+v", typ, want, got)
	}
	return h.id
}

// outcome waits until the event has been worked on for good, and returns what came of it.
func (w *world) outcome(eventID string) string {
	w.t.Helper()
	var found line
	waitFor(w.t, "the function that works on "+eventID, func() bool {
		for _, app := range w.apps {
			found = app.find(func(l line) bool {
				return l.str("event_id") == eventID && l.str("function") != "" && l.str("outcome") != "error"
			})
			if found != nil {
				return true
			}
		}
		return false
	})
	return found.str("outcome")
}

// do is send, and wait for that outcome.
func (w *world) do(want, typ string, data map[string]any) {
	w.t.Helper()
	if got := w.outcome(w.send(typ, data)); want != got {
		w.t.Errorf("outcome of %s: want %q, got %q", typ, want, got)
	}
}

// doc is a user's document as an application reads it, nil where there is none.
func (w *world) doc(id string) bson.M {
	w.t.Helper()
	var doc bson.M
	err := w.users.FindOne(w.t.Context(), bson.M{"_id": id}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	delete(doc, "sync")
	return doc
}

// in is the same world with failures reported to a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}
