package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// asProgram in the environment makes the test binary be the program, for tests that need a process of its own.
const asProgram = "CLERKSYNC_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is what a call of the program came to.
type outcome struct {
	code           int
	stdout, stderr string
}

// call runs the program in this process and in the working directory.
func call(t *testing.T, environ []string, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"clerksync"}, args...), environ, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// want fails the test unless the call came to that exit code and its output has each of the texts.
func (o outcome) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if code != o.code {
		t.Errorf("exit code: want %d, got %d\nstdout: %s\nstderr: %s", code, o.code, o.stdout, o.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(o.stdout+o.stderr, text) {
			t.Errorf("output: want %q in it, got\nstdout: %s\nstderr: %s", text, o.stdout, o.stderr)
		}
	}
}
