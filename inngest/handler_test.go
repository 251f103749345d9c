package inngest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is read before the signature is checked is bounded, also in dev mode, where nothing is signed.
func TestInvocationsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFunctions(t, fakeUsers{}, Options{Dev: true})
	body := `{"a":"` + strings.Repeat("x", maxInvokeBytes) + `"}`
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path+"?fnId=glowup-app-"+SyncUser, strings.NewReader(body))
	rec := httptest.NewRecorder()
	f.Handler().ServeHTTP(rec, req)
	const want = `{"error":"the body is too large, or came too slowly"}` // ours, before inngestgo reads it
	if got := rec.Body.String(); rec.Code != http.StatusBadRequest || want != got {
		t.Errorf("want 400 %s, got %d %s", want, rec.Code, got)
	}
}
