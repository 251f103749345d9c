package store

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/glowup-app/clerksync/clerk"
)

// usernameTries bounds the search for a free username. The suffix grows with each, so that the last ones are
// free even where millions share one name.
const usernameTries = 12

// baseUsername is what a new document is called: Clerk's username, else the email's local part, else the id.
func baseUsername(c clerk.Change, email string) string {
	if name, ok := c.Username.Value(); ok {
		return name
	}
	if at := strings.LastIndexByte(email, '@'); at > 0 {
		return email[:at]
	}
	return c.UserID
}

// usernameCandidate is the base at the first try, then the base and a random number of four digits and more.
func usernameCandidate(base string, try int) string {
	if try == 0 {
		return base
	}
	limit := 10_000
	for range (try - 1) / 2 {
		limit *= 10
	}
	return base + strconv.Itoa(rand.IntN(limit)) //nolint:gosec // it makes names differ, it guards nothing
}
