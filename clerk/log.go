package clerk

// Keys of the structured logs, the same ones in every package. What stands under them is never a secret, an
// email address, a name or a payload.
const (
	KeyEvent    = "event"    // event name, such as clerk/user.created
	KeyEventID  = "event_id" // the webhook's message id
	KeyUserID   = "user_id"
	KeyVersion  = "version" // Unix milliseconds
	KeyOutcome  = "outcome"
	KeyDuration = "duration"
	KeyStatus   = "status" // HTTP status
	KeyReason   = "reason" // why a request or an event was refused
	KeyError    = "error"
	KeyFunction = "function"
	KeyRunID    = "run_id"
	KeyAttempt  = "attempt" // from 0
	KeyRequest  = "request_id"
	KeyTraceID  = "trace_id"
	KeySpanID   = "span_id"
	KeyStack    = "stack" // of a panic: functions and lines, no values
	KeyPort     = "port"
	KeyCommit   = "commit" // that the binary was built from
	KeyBuild    = "build"  // the binary's version
	KeyRetryIn  = "retry_in"
	KeyDev      = "inngest_dev"
	KeyUsers    = "users" // how many
	KeyDrift    = "drift" // users that are not as Clerk says
)
