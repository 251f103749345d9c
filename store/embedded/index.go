package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver that FerretDB uses
)

// IndexIDs lets the database whose files are in dir find documents of a collection by _id without reading all of them. FerretDB
// makes an index on _ferretdb_sjson->"_id", and asks for _ferretdb_sjson->'$._id', which SQLite takes for something else. It matters
// from some ten thousand documents on. The collection must be there.
func IndexIDs(ctx context.Context, dir, database, collection string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, database+".sqlite"))
	if err != nil {
		return fmt.Errorf("open the database's file: %w", err)
	}
	defer db.Close()
	var table string
	err = db.QueryRowContext(ctx, "SELECT table_name FROM _ferretdb_collections WHERE name = ?", collection).Scan(&table)
	if err != nil {
		return fmt.Errorf("find the table of %s: %w", collection, err)
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf(`CREATE INDEX IF NOT EXISTS %q ON %q (_ferretdb_sjson->'$._id')`, table+"_by_id", table)); err != nil {
		return fmt.Errorf("index %s: %w", collection, err)
	}
	return nil
}
