package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/inngest"
)

func (d *doctor) inngestChecks(f facts) []check {
	const sync = "sync the app, with the URL of the server's /api/inngest: in Inngest's dashboard under Apps, or by its API; the Dev Server takes it with -u"
	return []check{
		{"inngest", d.checkInngest, "is Inngest up? INNGEST_DEV and INNGEST_BASE_URL say where it is"},
		{"app", func(context.Context) (string, error) { return d.checkApp(f) }, sync},
		{"functions", func(ctx context.Context) (string, error) { return d.checkFunctions(ctx, f) }, sync},
		{
			"mode", func(context.Context) (string, error) { return d.checkMode(f) },
			"start the server and this command with the same INNGEST_ variables and CLERK_SECRET_KEY, and from the same build",
		},
		{
			"signing key", func(ctx context.Context) (string, error) { return d.checkSigningKey(ctx, f) },
			"whoever reaches /api/inngest can write any user: take INNGEST_DEV out of the server's environment, and restart it",
		},
	}
}

func (d *doctor) checkInngest(ctx context.Context) (string, error) {
	if d.inngest == nil {
		return "", notConfigured
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if _, err := d.inngest.Time(ctx); err != nil {
		return "", err
	}
	return d.inngest.URL() + " answers", nil
}

func (d *doctor) readApp(ctx context.Context) (inngest.App, error) {
	if d.inngest == nil {
		return inngest.App{}, notConfigured
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	app, err := d.inngest.App(ctx)
	return app, d.aboutInngest(err)
}

// aboutInngest tells what is wrong from what Inngest does not say.
func (d *doctor) aboutInngest(err error) error {
	var status inngest.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, inngest.ErrNoApp):
		return fmt.Errorf("inngest knows no app %s", d.cfg.Inngest.AppID)
	case errors.Is(err, inngest.ErrSigningKey):
		return &fault{"Inngest does not accept INNGEST_SIGNING_KEY", "set it to the signing key of the app's environment, from Inngest's dashboard"}
	case errors.As(err, &status):
		return skipped(fmt.Sprintf("Inngest's API does not say: %s", status))
	default:
		return skipped("Inngest's API does not say: " + reason(err))
	}
}

func (d *doctor) checkApp(f facts) (string, error) {
	app, err := f.app()
	if err != nil {
		return "", err
	}
	at, _ := url.Parse(app.LatestSync.URL)
	switch {
	case app.Archived:
		return "", fmt.Errorf("the app %s is archived", d.cfg.Inngest.AppID)
	case app.LatestSync.Error != "" || app.LatestSync.Status == "error":
		return "", fmt.Errorf("the last sync went wrong: %s", printable(oneLine(app.LatestSync.Error)))
	case app.Workers():
		return "", skipped(d.cfg.Inngest.AppID + " is that of workers: whether one is connected, its /readyz and clerksync_worker_connected say")
	case at == nil || at.Host == "":
		return "", skipped("Inngest does not say where it finds the app")
	case d.cfg.PublicURL != nil && hostOf(at) != hostOf(d.cfg.PublicURL):
		return "", fmt.Errorf("inngest calls the app at %s, and PUBLIC_URL is %s", printable(at.Host), d.cfg.PublicURL.Host)
	}
	return fmt.Sprintf("%s is synced, at %s", d.cfg.Inngest.AppID, printable(at.Host)), nil
}

func (d *doctor) checkFunctions(ctx context.Context, f facts) (string, error) {
	if _, err := f.app(); err != nil {
		return "", skipped("the app is not known")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	all, err := d.inngest.Functions(ctx)
	if err != nil {
		return "", d.aboutInngest(err)
	}
	var has, paused []string
	for _, fn := range all {
		if fn.Archived {
			continue
		}
		has = append(has, printable(fn.ID))
		if fn.Paused {
			paused = append(paused, printable(fn.ID))
		}
		if fn.Takes(clerk.Probe) {
			return "", &fault{fmt.Sprintf("%s acts on %s, which this command makes", printable(fn.ID), clerk.Probe), "give the function another trigger"}
		}
	}
	missing, unknown := without(d.expected, has), without(has, d.expected)
	switch {
	case len(missing) > 0:
		return "", fmt.Errorf("not registered: %s", strings.Join(missing, ", "))
	case len(unknown) > 0:
		return "", fmt.Errorf("registered, and not of this build: %s", strings.Join(unknown, ", "))
	case len(paused) > 0:
		return "", &fault{"paused: " + strings.Join(paused, ", "), "resume them in Inngest's dashboard, and replay what came meanwhile"}
	}
	return fmt.Sprintf("%d registered, none of which acts on %s", len(has), clerk.Probe), nil
}

// without is what of a is not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func (d *doctor) readServing(ctx context.Context, f facts) (inngest.Serving, error) {
	if d.inngest == nil {
		return inngest.Serving{}, notConfigured
	}
	s, err := serverThere(f)
	if err != nil {
		return inngest.Serving{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return d.inngest.Serving(ctx, s.url)
}

// hostOf leaves a default port out, as Inngest does of what it keeps.
func hostOf(u *url.URL) string {
	switch u.Scheme {
	case "http":
		return strings.TrimSuffix(u.Host, ":80")
	case "https":
		return strings.TrimSuffix(u.Host, ":443")
	default:
		return u.Host
	}
}

// Remedies where webhooks and functions are not the work of one program.
const (
	noWorker = "start `clerksync worker`, or the server without --no-functions and sync the app anew"
	tooMany  = "start the server with --no-functions, or stop the workers and sync the app: Inngest calls functions in one place"
)

// notServed is what a server that takes webhooks only answers at /api/inngest.
const notServed = inngest.StatusError(http.StatusNotFound)

func (d *doctor) checkMode(f facts) (string, error) {
	s, err := f.serving()
	app, appErr := f.app()
	bridgeAlone := errors.Is(err, notServed)
	want := "cloud"
	if d.cfg.Inngest.Dev {
		want = "dev"
	}
	switch {
	case bridgeAlone && appErr != nil:
		return "", skipped("the server takes webhooks only, and Inngest does not say where the functions are")
	case bridgeAlone && !app.Workers():
		return "", &fault{"the server takes webhooks only, and no worker has told Inngest its functions", noWorker}
	case bridgeAlone:
		return "the server takes webhooks only, workers have the functions", nil
	case err == nil && appErr == nil && app.Workers():
		return "", &fault{"both the server and workers have the functions, and Inngest was told last of the workers'", tooMany}
	case errors.Is(err, inngest.ErrSigningKey) && d.cfg.Inngest.Dev:
		return "", errors.New("the server is in cloud mode, and INNGEST_DEV is set here")
	case errors.Is(err, inngest.ErrSigningKey):
		return "", errors.New("the server does not accept what INNGEST_SIGNING_KEY signs: it has another one, or its clock is off")
	case err != nil:
		return "", err
	case s.Mode != want:
		return "", fmt.Errorf("the server is in %s mode, the configuration in %s mode", printable(s.Mode), want)
	case s.AppID != d.cfg.Inngest.AppID:
		return "", fmt.Errorf("the server is the app %s, not %s", printable(s.AppID), d.cfg.Inngest.AppID)
	case s.FunctionCount != len(d.expected):
		return "", fmt.Errorf("the server has %d functions, not %d", s.FunctionCount, len(d.expected))
	}
	return fmt.Sprintf("%s, %d functions", s.Mode, s.FunctionCount), nil
}

// checkSigningKey sends an invocation that nobody signed, and only where nothing can come of it: in dev mode inngestgo would
// register the functions first.
func (d *doctor) checkSigningKey(ctx context.Context, f facts) (string, error) {
	serving, err := f.serving()
	switch {
	case d.inngest == nil:
		return "", notConfigured
	case d.cfg.Inngest.Dev:
		return "", skipped("nothing is signed in dev mode")
	case err == nil && serving.Mode == "dev":
		return "", errors.New("the server is in dev mode, and takes what nobody signed")
	case errors.Is(err, notServed):
		return "", skipped("the server serves no functions")
	case err != nil && !errors.Is(err, inngest.ErrSigningKey):
		return "", skipped("the server does not say in which mode it is")
	}
	s, err := serverThere(f)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	status, err := d.inngest.Unsigned(ctx, s.url)
	switch {
	case err != nil:
		return "", err
	case status != http.StatusUnauthorized:
		return "", fmt.Errorf("an unsigned invocation was answered %d, not 401", status)
	}
	return "an unsigned invocation is refused with 401", nil
}
