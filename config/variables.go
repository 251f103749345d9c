package config

// Variable is one row of the table of environment variables. It is the source of the code that reads them and,
// by tests, of docs/configuration.md and .env.example.
type Variable struct {
	Name    string
	Aliases []string // other names for it; Name goes first
	Meaning string
	Want    string // what a good value looks like: "it should be …"
	Example string
	Default string

	required func(*Config, Role) bool // nil: never; it sees the variables above it
	set      func(*Config, string) bool
}

// always and inCloud are required by that role.
func always(by Role) func(*Config, Role) bool {
	return func(_ *Config, roles Role) bool { return roles&by != 0 }
}

func inCloud(by Role) func(*Config, Role) bool {
	return func(c *Config, roles Role) bool { return roles&by != 0 && !c.Inngest.Dev }
}

// Variables is the table, in the order in which it is read: INNGEST_DEV comes before what it makes needless.
func Variables() []Variable {
	return []Variable{
		{
			Name: "PORT", Default: "3000", Example: "3000",
			Meaning: "Port that the server listens on.",
			Want:    "a number from 1 to 65535, such as 3000",
			set:     func(c *Config, v string) bool { return number(&c.Port, v, 1, 65535) },
		},
		{
			Name: "CLERK_WEBHOOK_SECRET", Aliases: []string{"CLERK_WEBHOOK_SIGNING_SECRET"},
			Example:  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			Meaning:  "Signing secret of the webhook endpoint, from Clerk's dashboard. Several, separated by commas, while it is rotated.",
			Want:     "whsec_ and base64, as the endpoint's page in Clerk's dashboard shows it; several are separated by commas",
			required: always(Bridge),
			set:      func(c *Config, v string) bool { return webhookSecrets(&c.WebhookSecrets, v) },
		},
		{
			Name: "DATABASE_URI", Example: "mongodb://localhost:27017/glowup",
			Meaning:  "MongoDB connection string. Its path names the database.",
			Want:     "a MongoDB connection string, such as mongodb://localhost:27017/glowup or mongodb+srv://cluster.example.net/glowup",
			required: always(Functions),
			set:      databaseURI,
		},
		{
			Name: "DATABASE_NAME", Default: "glowup", Example: "glowup",
			Meaning: "Database, where DATABASE_URI names none.",
			Want:    "the name of a MongoDB database, such as glowup: at most 63 characters, none of / \\ . \" $ or space",
			set:     func(c *Config, v string) bool { return databaseName(&c.DatabaseName, v) },
		},
		{
			Name: "USERS_COLLECTION", Default: "users", Example: "users",
			Meaning: "Collection that holds the users.",
			Want:    "the name of a MongoDB collection, such as users: at most 150 characters, without $, and not beginning with system.",
			set:     func(c *Config, v string) bool { return collectionName(&c.UsersCollection, v) },
		},
		{
			Name: "INNGEST_DEV", Example: "http://127.0.0.1:8288",
			Meaning: "1, true or the Dev Server's URL: dev mode, for the Inngest Dev Server. Empty, 0 or false: cloud mode.",
			Want:    "1, true or the URL of an Inngest Dev Server, such as http://127.0.0.1:8288; or 0, false or empty for cloud mode",
			set:     inngestDev,
		},
		{
			Name: "INNGEST_APP_ID", Default: "glowup-app", Example: "glowup-app",
			Meaning: "Id of the app at Inngest.",
			Want:    "letters, digits, dots, hyphens and underscores, such as glowup-app",
			set:     func(c *Config, v string) bool { return matches(&c.Inngest.AppID, v, appID) },
		},
		{
			Name: "INNGEST_BASE_URL", Example: "https://inngest.example.com",
			Meaning: "Self-hosted Inngest, in cloud mode. Without it: Inngest Cloud.",
			Want:    "an http or https URL, such as https://inngest.example.com",
			set:     inngestBaseURL,
		},
		{
			Name: "INNGEST_API_KEY", Aliases: []string{"INNGEST_EVENT_KEY"}, Example: "your-event-key",
			Meaning:  "Inngest's event key. Needed in cloud mode.",
			Want:     "the event key from Inngest's dashboard (needed in cloud mode; for the Dev Server set INNGEST_DEV=1 instead)",
			required: inCloud(Bridge),
			set:      func(c *Config, v string) bool { return matches(&c.Inngest.EventKey, v, eventKey) },
		},
		{
			Name: "INNGEST_SIGNING_KEY", Example: "signkey-prod-0123456789abcdef",
			Meaning:  "Inngest's signing key. Needed in cloud mode.",
			Want:     "the signing key from Inngest's dashboard, such as signkey-prod-0123456789abcdef (needed in cloud mode)",
			required: inCloud(Functions),
			set:      func(c *Config, v string) bool { return signingKey(&c.Inngest.SigningKey, v) },
		},
		{
			Name: "INNGEST_SIGNING_KEY_FALLBACK", Example: "signkey-prod-fedcba9876543210",
			Meaning: "The other signing key while it is rotated.",
			Want:    "a signing key, such as signkey-prod-fedcba9876543210",
			set:     func(c *Config, v string) bool { return signingKey(&c.Inngest.SigningKeyFallback, v) },
		},
		{
			Name: "PUBLIC_URL", Example: "https://sync.example.com",
			Meaning: "Where Inngest reaches this server, behind a proxy. Without it: the URL that Inngest's request came to.",
			Want:    "an http or https URL without query, such as https://sync.example.com",
			set:     publicURL,
		},
		{
			Name: "FUNCTION_RETRIES", Default: "20", Example: "20",
			Meaning: "Retries of a failed run; 20 take about 24 hours.",
			Want:    "a number from 0 to 20",
			set:     func(c *Config, v string) bool { return number(&c.FunctionRetries, v, 0, 20) },
		},
		{
			Name: "FUNCTION_CONCURRENCY", Default: "0", Example: "0",
			Meaning: "Runs of each function at once, over all users. 0: the limit of the Inngest plan.",
			Want:    "a number from 0 to 100000",
			set:     func(c *Config, v string) bool { return number(&c.FunctionConcurrency, v, 0, 100000) },
		},
		{
			Name: "DEAD_LETTER_RETENTION", Default: "30d", Example: "30d",
			Meaning: "How long a dead letter, which holds an event's personal data, is kept.",
			Want:    "days such as 30d, or hours such as 12h, from 1h to 3650d",
			set:     func(c *Config, v string) bool { return retention(&c.DeadLetterRetention, v) },
		},
		{
			Name: "RECONCILE_CRON", Example: "30 4 * * *",
			Meaning: "When the users are compared with Clerk's, as a cron schedule in UTC. Without it: only on request.",
			Want:    "a cron schedule of five fields, such as 30 4 * * * for every day at 4:30, with TZ=Europe/Paris and a space before it for a time zone other than UTC",
			set:     reconcileCron,
		},
		{
			Name: "CLERK_SECRET_KEY", Example: "sk_test_0123456789",
			Meaning:  "Key of Clerk's Backend API, for backfill, reconcile and doctor only. Needed with RECONCILE_CRON.",
			Want:     "the secret key from Clerk's dashboard, which begins with sk_",
			required: func(c *Config, roles Role) bool { return roles&Functions != 0 && c.ReconcileCron != "" },
			set:      func(c *Config, v string) bool { return matches(&c.ClerkSecretKey, v, clerkKey) },
		},
		{
			Name: "CLERK_API_URL", Default: "https://api.clerk.com", Example: "https://api.clerk.com",
			Meaning: "Clerk's Backend API.",
			Want:    "an http or https URL without the version, such as https://api.clerk.com",
			set:     func(c *Config, v string) bool { return baseURL(&c.ClerkAPIURL, v) },
		},
		{
			Name: "LOG_LEVEL", Default: "info", Example: "info",
			Meaning: "Least level that is logged.",
			Want:    "debug, info, warn or error",
			set:     logLevel,
		},
		{
			Name: "LOG_FORMAT", Example: "json",
			Meaning: "json or text. Without it: text on a terminal, else json.",
			Want:    "json or text",
			set:     func(c *Config, v string) bool { return matches(&c.LogFormat, v, logFormat) },
		},
	}
}
