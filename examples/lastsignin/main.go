// Command lastsignin runs a function of your own beside clerksync: it writes when a user last signed in.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/inngest/inngestgo"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

type session struct {
	UserID    string `json:"user_id"`
	CreatedAt int64  `json:"created_at"` // Unix milliseconds
}

func main() {
	db, dbErr := mongo.Connect(options.Client().ApplyURI(os.Getenv("DATABASE_URI")).SetTimeout(10 * time.Second))
	app, appErr := inngestgo.NewClient(inngestgo.ClientOpts{AppID: "my-app"}) // it reads INNGEST_DEV and the keys by itself
	if err := errors.Join(dbErr, appErr); err != nil {
		log.Fatal(err)
	}
	users, on := db.Database(os.Getenv("DATABASE_NAME")).Collection("users"), inngestgo.EventTrigger("clerk/session.created", nil)
	_, err := inngestgo.CreateFunction(app, inngestgo.FunctionOpts{ID: "last-sign-in"}, on, func(ctx context.Context, in inngestgo.Input[session]) (any, error) {
		// $max, since events come twice, late and out of order. A user who is not there is an error, so Inngest tries again.
		newest := bson.M{"$max": bson.M{"last_sign_in": time.UnixMilli(in.Event.Data.CreatedAt)}}
		return nil, users.FindOneAndUpdate(ctx, bson.M{"_id": in.Event.Data.UserID}, newest).Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal((&http.Server{Addr: os.Getenv("ADDR"), Handler: app.Serve(), ReadHeaderTimeout: 5 * time.Second}).ListenAndServe())
}
