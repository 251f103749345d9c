package clerk_test

import (
	"encoding/json"
	"testing"

	"github.com/glowup-app/clerksync/clerk"
	"github.com/glowup-app/clerksync/clerk/clerktest"
)

func BenchmarkParseEnvelope(b *testing.B) {
	for _, size := range clerktest.Sizes {
		b.Run(clerktest.SizeName(size), func(b *testing.B) {
			body := []byte(clerktest.Webhook("user_1", 1763361000000, size))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := clerk.ParseEnvelope(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseUser(b *testing.B) {
	for _, size := range clerktest.Sizes {
		b.Run(clerktest.SizeName(size), func(b *testing.B) {
			data := json.RawMessage(clerktest.UserOfSize("user_1", 1763361000000, size))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := clerk.ParseUser(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
