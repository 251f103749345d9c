// Package proxy runs deploy/Caddyfile in Caddy itself. `go test -C tools/deploy -count=1 ./proxy` tests it; .ci/run leaves it out, since Caddy
// takes minutes to compile, and reads the file with Caddy's parser alone.
package proxy
