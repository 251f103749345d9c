package inngest

import (
	"encoding/json"
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
	if rec.Code != http.StatusBadRequest || !json.Valid(rec.Body.Bytes()) {
		t.Errorf("want 400 with a JSON error, got %d %s", rec.Code, rec.Body)
	}
}
