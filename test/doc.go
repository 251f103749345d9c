// Package test drives the finished program from outside: the real binary, built with the race detector, the real
// Inngest Dev Server and a real MongoDB wire protocol server. It knows of clerksync what its users know: commands,
// environment, HTTP, log lines and documents.
package test
