// Package proxy runs deploy/Caddyfile in Caddy itself. `make test-fleet` tests it; .ci/run leaves it out, since Caddy takes minutes to
// compile, and reads the file with Caddy's parser alone.
package proxy
