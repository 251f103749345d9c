package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/glowup-app/clerksync/config"
)

// healthcheckCommand is for the image, which has no shell and no curl.
func (a *app) healthcheckCommand() *cli.Command {
	return &cli.Command{
		Name:   "healthcheck",
		Usage:  "ask the server on this machine whether it lives (for the image's health check)",
		Hidden: true,
		Before: noArgs,
		Action: func(ctx context.Context, _ *cli.Command) error {
			cfg, err := config.Load(a.environ, config.DotEnv, config.NoRole)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)) + "/healthz"
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("GET %s: status %d", url, resp.StatusCode)
			}
			return nil
		},
	}
}
