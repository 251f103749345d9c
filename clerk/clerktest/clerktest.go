// Package clerktest makes up what Clerk sends and serves, for tests and benchmarks: payloads of every size, and a stand-in for
// Clerk's Backend API. That is as much of it as clerksync reads, over users that may change while they are read.
//
// It follows Clerk's description of the API, version 2026-05-12 (https://github.com/clerk/openapi-specs, bapi/2026-05-12.yml):
// GET /users with limit (1 to 500, default 10), offset, order_by, created_at_after, created_at_before, starting_after (by
// created_at only, not with an offset: else 422) and user_id (at most 100, unknown ones are ignored); GET /users/count,
// /users/{user_id} and /instance; the shape of errors. And its limits (https://clerk.com/docs/guides/how-clerk-works/system-limits): 1,000 requests in 10 s
// for a production key, 100 for another; beyond that 429 with Retry-After in seconds.
//
// What Clerk does not say, it does in the way that is hardest to live with: a cursor whose user is gone is refused, and users of one
// millisecond are listed in an order of their own.
package clerktest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Key is the secret key that a new Clerk takes: one of production.
const Key = "sk_live_clerktest"

// User is what a test says about a user. An empty string is null.
type User struct {
	ID        string
	CreatedAt int64 // Unix milliseconds
	UpdatedAt int64
	FirstName string
	LastName  string
	Email     string
	ImageURL  string
	// Raw, where it is set, is the user's JSON, in the place of all else but ID and CreatedAt.
	Raw string

	tie uint32 // the order of the users of one millisecond
}

// Fault is how a request goes wrong; the zero Fault lets it pass.
type Fault struct {
	Status     int  // answer with this status and Clerk's error shape
	RetryAfter int  // seconds, with Status
	Truncate   bool // end in the middle of the body
	Hang       bool // send half of the body, and no more
	Garbage    bool // answer 200 with what is not JSON
}

// Clerk is a running stand-in. Its methods may be called while it answers.
type Clerk struct {
	URL string // for CLERK_API_URL

	server *httptest.Server
	stop   chan struct{}

	mu       sync.Mutex
	users    []*User // by CreatedAt and ID
	byID     map[string]*User
	fault    func(n int, r *http.Request) Fault
	requests int
	window   time.Time // of the rate limit
	inWindow int
}

// windowLength and perWindow are the documented limit of a production instance.
const (
	windowLength = 10 * time.Second
	perWindow    = 1000
)

// New starts a stand-in without users. Close ends it.
func New() *Clerk {
	c := &Clerk{byID: map[string]*User{}, stop: make(chan struct{})}
	c.server = httptest.NewServer(http.HandlerFunc(c.serve))
	c.URL = c.server.URL
	return c
}

// Close ends the stand-in.
func (c *Clerk) Close() {
	close(c.stop)
	c.server.CloseClientConnections()
	c.server.Close()
}

// Fault sets what goes wrong from now on: f is asked about each request before it is answered, and may change users; n counts the
// requests from 0. Nil: nothing.
func (c *Clerk) Fault(f func(n int, r *http.Request) Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault, c.requests = f, 0
}

// Requests is how many there were since Fault was called.
func (c *Clerk) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Put makes a user, or changes all of one but CreatedAt.
func (c *Clerk) Put(u User) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u.tie = crc32.ChecksumIEEE([]byte(u.ID))
	if old, ok := c.byID[u.ID]; ok {
		u.CreatedAt = old.CreatedAt
		*old = u
		return
	}
	i, _ := slices.BinarySearchFunc(c.users, &u, byCreation)
	c.users = slices.Insert(c.users, i, &u)
	c.byID[u.ID] = &u
}

// Delete removes users.
func (c *Clerk) Delete(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.byID, id)
	}
	c.users = slices.DeleteFunc(c.users, func(u *User) bool { return c.byID[u.ID] != u })
}

// Users are all that there are.
func (c *Clerk) Users() []User {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]User, len(c.users))
	for i, u := range c.users {
		all[i] = *u
	}
	return all
}

func byCreation(a, b *User) int {
	return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.tie, b.tie), strings.Compare(a.ID, b.ID))
}

func (c *Clerk) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	n, fault := c.requests, c.fault
	c.requests++
	c.mu.Unlock()
	var f Fault
	if fault != nil {
		f = fault(n, r) // without the lock: it may change users
	}
	c.mu.Lock()
	if now := time.Now(); now.Sub(c.window) > windowLength {
		c.window, c.inWindow = now, 0
	}
	c.inWindow++
	if c.inWindow > perWindow && f.Status == 0 {
		f = Fault{Status: http.StatusTooManyRequests, RetryAfter: 1 + int(windowLength.Seconds()-time.Since(c.window).Seconds())}
	}
	c.mu.Unlock()

	w.Header().Set("Content-Type", "application/json")
	if f.Status != 0 {
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		code := "internal_clerk_error"
		if f.Status == http.StatusTooManyRequests {
			code = "too_many_requests"
		}
		refuse(w, f.Status, code)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Key {
		refuse(w, http.StatusUnauthorized, "authentication_invalid")
		return
	}
	if r.Method != http.MethodGet {
		refuse(w, http.StatusMethodNotAllowed, "method_not_allowed")
		return
	}
	body, status, code := c.answer(r)
	if code != "" {
		refuse(w, status, code)
		return
	}
	switch {
	case f.Garbage:
		body = []byte("<html>canary</html>")
	case f.Truncate, f.Hang:
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body) //nolint:gosec // JSON, and what a test made of it
	if f.Hang {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-c.stop:
		}
	}
}

func (c *Clerk) answer(r *http.Request) (body []byte, status int, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path := r.URL.Path; path {
	case "/v1/instance":
		return []byte(`{"object":"instance","id":"ins_clerktest","environment_type":"production"}`), 0, ""
	case "/v1/users/count":
		return fmt.Appendf(nil, `{"object":"total_count","total_count":%d}`, len(c.users)), 0, ""
	case "/v1/users":
		users, code := c.list(r.URL.Query())
		if code != "" {
			return nil, http.StatusUnprocessableEntity, code
		}
		body = append(body, '[')
		for i, u := range users {
			if i > 0 {
				body = append(body, ',')
			}
			body = u.append(body)
		}
		return append(body, ']'), 0, ""
	default:
		id, ok := strings.CutPrefix(path, "/v1/users/")
		if u := c.byID[id]; ok && u != nil {
			return u.append(nil), 0, ""
		}
		return nil, http.StatusNotFound, "resource_not_found"
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors":         []any{map[string]string{"code": code, "message": code, "long_message": "canary"}},
		"clerk_trace_id": "trace",
	})
}

// append writes a user as Clerk does, with what clerksync does not read beside what it does.
func (u *User) append(b []byte) []byte {
	if u.Raw != "" {
		return append(b, u.Raw...)
	}
	emails, primary := "[]", ""
	if u.Email != "" {
		primary = "idn_" + u.ID
		emails = fmt.Sprintf(`[{"id":"idn_%s_old","object":"email_address","email_address":"old-%s","verification":null,"linked_to":[]},`+
			`{"id":%q,"object":"email_address","email_address":%s,"verification":{"status":"verified","strategy":"email_code","attempts":1},"linked_to":[]}]`,
			u.ID, u.Email, primary, orNull(u.Email))
	}
	return fmt.Appendf(b, `{"id":%q,"object":"user","username":null,"first_name":%s,"last_name":%s,"locale":null,"image_url":%s,"has_image":true,`+
		`"primary_email_address_id":%s,"primary_phone_number_id":null,"primary_web3_wallet_id":null,"password_enabled":false,"two_factor_enabled":false,`+
		`"totp_enabled":false,"backup_code_enabled":false,"email_addresses":%s,"phone_numbers":[],"web3_wallets":[],"passkeys":[],"external_accounts":[],`+
		`"saml_accounts":[],"enterprise_accounts":[],"public_metadata":{"plan":"pro"},"private_metadata":{},"unsafe_metadata":{},"external_id":null,`+
		`"last_sign_in_at":null,"banned":false,"locked":false,"mfa_enabled_at":null,"created_at":%d,"updated_at":%d,"delete_self_enabled":true,`+
		`"create_organization_enabled":true,"last_active_at":null,"legal_accepted_at":null}`,
		u.ID, orNull(u.FirstName), orNull(u.LastName), orNull(u.ImageURL), orNull(primary), emails, u.CreatedAt, u.UpdatedAt)
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	b, _ := json.Marshal(s)
	return string(b)
}
