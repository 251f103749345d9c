package clerk_test

import (
	"testing"

	"github.com/glowup-app/clerksync/clerk"
)

func TestOptional(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		o       clerk.Optional[string]
		present bool
		value   string
		ok      bool
	}{
		{"the zero value is absent", clerk.Optional[string]{}, false, "", false},
		{"null is present and has no value", clerk.Null[string](), true, "", false},
		{"a value", clerk.Some("x"), true, "x", true},
		{"an empty value is a value", clerk.Some(""), true, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.o.Present(); got != tt.present {
				t.Errorf("present: want %t, got %t", tt.present, got)
			}
			if value, ok := tt.o.Value(); value != tt.value || ok != tt.ok {
				t.Errorf("value: want %q, %t, got %q, %t", tt.value, tt.ok, value, ok)
			}
		})
	}
	if clerk.Some("") == clerk.Null[string]() || clerk.Null[string]() == (clerk.Optional[string]{}) {
		t.Error("absent, null and empty are three things")
	}
}
