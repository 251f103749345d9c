package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/inngest"
)

const webhookPath = "/api/webhooks/clerk"

func (s *server) routes() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = s.answerError
	e.Use(s.recoverPanic, requestID)

	e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, "server is running") })
	if s.bridge != nil {
		e.POST(webhookPath, s.bridge.Handle)
	}
	if s.functions != nil && !s.worker() {
		e.Match([]string{http.MethodGet, http.MethodPost, http.MethodPut}, inngest.Path, echo.WrapHandler(s.functions.Handler()))
	}
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok") })
	e.GET("/readyz", s.answerReady)
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{Registry: s.metrics})))
	return e
}

// requestID names a request in the answer and in the logs. A caller's own id is not taken over: it would let a
// stranger write into our logs.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text())
		return next(c)
	}
}

func (s *server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
				panic(p)
			}
			// The panic's value may quote a payload, so only its type is kept.
			s.log.LogAttrs(c.Request().Context(), slog.LevelError, "request panicked",
				slog.String(clerk.KeyReason, fmt.Sprintf("%T", p)), slog.String(clerk.KeyStack, string(debug.Stack())))
			err = echo.NewHTTPError(http.StatusInternalServerError)
		}()
		return next(c)
	}
}

// answerError turns what Echo refuses into the same shape as the bridge's errors.
func (s *server) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status := http.StatusInternalServerError
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		status = he.Code
	}
	text := "something went wrong here: try again later"
	switch status {
	case http.StatusNotFound:
		text = "no such route: webhooks go to POST " + webhookPath
		if s.worker() {
			text += " of clerksync serve, and this is a worker"
		}
	case http.StatusMethodNotAllowed:
		text = "this method is not allowed here: see the Allow header"
	}
	if err := c.JSON(status, map[string]string{"error": text}); err != nil {
		s.log.LogAttrs(c.Request().Context(), slog.LevelDebug, "answer not written", slog.String(clerk.KeyError, err.Error()))
	}
}

const pingTimeout = 2 * time.Second

// answerReady is 200 when the database answers and startup has finished, else 503 with what is not ready.
func (s *server) answerReady(c echo.Context) error {
	notReady := map[string]string{}
	if s.stopping.Load() {
		notReady["server"] = "is stopping"
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), pingTimeout)
	defer cancel()
	switch {
	case s.store == nil: // a bridge alone
	case s.store.Ping(ctx) != nil:
		notReady["database"] = "does not answer"
	case !s.setUp.Load():
		notReady["startup"] = "has not finished: the log says why"
	}
	if s.worker() && !s.functions.Connected() {
		notReady["inngest"] = "is not connected: the log says why"
	}
	if len(notReady) == 0 {
		answer := map[string]any{"ready": true}
		if s.last == nil {
			return c.JSON(http.StatusOK, answer)
		}
		if last, ok := s.last.read(ctx); ok {
			answer["last_reconcile"] = summarize(last) // drift is no reason to send requests elsewhere
		}
		return c.JSON(http.StatusOK, answer)
	}
	var parts []string
	for part, state := range notReady {
		parts = append(parts, part+" "+state)
	}
	slices.Sort(parts)
	return c.JSON(http.StatusServiceUnavailable, map[string]any{
		"error": "not ready: " + parts[0], "ready": false, "not_ready": notReady,
	})
}
