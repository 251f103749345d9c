package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stateDir is what `clerksync dev` and `clerksync trigger` keep between runs, in the working directory.
const stateDir = ".clerksync"

// Files in stateDir.
const (
	devStateFile  = "dev.json"
	lastUsersFile = "last-users" // an id a line
)

func statePath(name string) string { return filepath.Join(stateDir, name) }

// devState is what a running `clerksync dev` tells the other commands.
type devState struct {
	WebhookURL    string `json:"webhook_url"`
	WebhookSecret string `json:"webhook_secret"`
	DatabaseURI   string `json:"database_uri"`
	DatabaseName  string `json:"database_name"`
	InngestURL    string `json:"inngest_url"`
}

// readDevState is the state of the `clerksync dev` that runs in this directory, or nil. A dev that was killed
// leaves its file behind, so the server is asked, too.
func readDevState(ctx context.Context) (*devState, error) {
	raw, err := os.ReadFile(statePath(devStateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s devState
	if json.Unmarshal(raw, &s) != nil || s.WebhookURL == "" {
		return nil, fmt.Errorf("%s is not what clerksync dev writes: remove it", statePath(devStateFile))
	}
	if !lives(ctx, s.WebhookURL) {
		return nil, nil
	}
	return &s, nil
}

// lives says whether the server of that webhook URL answers.
func lives(ctx context.Context, webhookURL string) bool {
	u, err := url.Parse(webhookURL)
	if err != nil {
		return false
	}
	u.Path = "/healthz"
	ctx, cancel := context.WithTimeout(ctx, time.Second) // it is on this machine
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// readLastUsers are the users of the last trigger in this directory, or none.
func readLastUsers() ([]string, error) {
	raw, err := os.ReadFile(statePath(lastUsersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(raw)), err
}

func writeLastUsers(ids []string) error {
	return writeState(lastUsersFile, []byte(strings.Join(ids, "\n")+"\n"))
}

// writeState writes a file that only this user reads, and that a reader sees whole or not at all.
func writeState(name string, content []byte) error {
	if err := makeStateDir(); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(stateDir, name+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), statePath(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func makeStateDir() error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	// It holds a secret and a database: no repository wants it.
	return os.WriteFile(statePath(".gitignore"), []byte("*\n"), 0o600)
}
