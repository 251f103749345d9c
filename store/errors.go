package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

var (
	// ErrConflict says that other writers of the same user won every time. Try again later.
	ErrConflict = errors.New("too many concurrent changes of one user")
	// ErrUsernameTaken says that every username that was tried belongs to somebody. Try again later.
	ErrUsernameTaken = errors.New("no free username found")
	// ErrIncompatibleIndex says that the collection has an index that the sync can't work with. Its text holds
	// the remedy.
	ErrIncompatibleIndex = errors.New("incompatible index")
	// ErrTimeout says that the database did not answer one call in time. Try again later.
	ErrTimeout = errors.New("the database did not answer in time")
	// ErrForeign is a document whose sub-document "sync" somebody else has written. A person must see to it.
	ErrForeign = errors.New(`the sub-document "sync" is not clerksync's: an application must not write there`)
	// ErrNewer is a document that a newer clerksync has written. It is left alone; one that knows it will do the work.
	ErrNewer = errors.New("a newer clerksync has written the document: run that one")

	// errRaced is a lost race for a document: read again and decide anew.
	errRaced = errors.New("another writer was faster")
	// errDuplicate is a unique index that refuses a document: by _id or by username, FerretDB does not say.
	errDuplicate = errors.New("duplicate key")
)

// Unreadable says that an error is about one document that this clerksync can't read: to try again here will not help, though it may in a
// newer one.
func Unreadable(err error) bool { return errors.Is(err, ErrForeign) || errors.Is(err, ErrNewer) }

// serverError is what the server answered, without its text: that quotes values of the document, such as the
// email address in a duplicate key.
type serverError struct {
	code int
	name string
}

func (e *serverError) Error() string {
	return fmt.Sprintf("the database answered with error %d (%s)", e.code, e.name)
}

// wrap turns a driver's error into ours, for the call that was under way.
func wrap(ctx context.Context, call string, err error) error {
	switch {
	case err == nil:
		return nil
	case mongo.IsDuplicateKeyError(err), isSQLiteDuplicate(err):
		err = duplicate(err)
	case errors.Is(context.Cause(ctx), ErrTimeout), mongo.IsTimeout(err) && ctx.Err() == nil: // the driver's clock may be faster
		err = ErrTimeout
	default:
		err = withoutValues(err)
	}
	return fmt.Errorf("%s: %w", call, err)
}

// duplicate names the index where the server does, and it is not ours.
func duplicate(err error) error {
	var write mongo.WriteException
	if errors.As(err, &write) && len(write.WriteErrors) > 0 {
		if key, ok := write.WriteErrors[0].Raw.Lookup("keyPattern").DocumentOK(); ok {
			elements, _ := key.Elements()
			var fields []string
			for _, el := range elements {
				fields = append(fields, el.Key())
			}
			if name := strings.Join(fields, ", "); name != "_id" && name != fieldUsername {
				return fmt.Errorf("a unique index of yours on %s refuses the document: drop it, or make it not unique", name)
			}
		}
	}
	return errDuplicate
}

// isSQLiteDuplicate knows how FerretDB 1 answers an update that a unique index refuses: as an internal error.
func isSQLiteDuplicate(err error) bool {
	var command mongo.CommandError
	return errors.As(err, &command) && command.Code == internalError &&
		strings.Contains(command.Message, "UNIQUE constraint failed")
}

func withoutValues(err error) error {
	if command, ok := errors.AsType[mongo.CommandError](err); ok {
		return &serverError{code: int(command.Code), name: command.Name}
	}
	if write, ok := errors.AsType[mongo.WriteException](err); ok {
		if len(write.WriteErrors) > 0 {
			return &serverError{code: write.WriteErrors[0].Code, name: "write error"}
		}
		if write.WriteConcernError != nil {
			return &serverError{code: write.WriteConcernError.Code, name: write.WriteConcernError.Name}
		}
	}
	return err // the driver's own: addresses and states, no documents
}

func isServerError(err error, codes ...int) bool {
	var server *serverError
	if !errors.As(err, &server) {
		return false
	}
	return slices.Contains(codes, server.code)
}
