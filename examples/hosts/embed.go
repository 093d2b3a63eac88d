// go get github.com/mattn/go-sqlite3, or Debian's golang-github-mattn-go-sqlite3-dev
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"

	"github.com/mattn/go-sqlite3"
)

func main() {
	sql.Register("sqlite3_rembed", &sqlite3.SQLiteDriver{Extensions: []string{os.Getenv("REMBED_LIB")}})
	db, err := sql.Open("sqlite3_rembed", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	// A client belongs to a connection, and the pool opens more than one.
	db.SetMaxOpenConns(1)
	_, err = db.Exec("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", os.Getenv("REMBED_URL"))
	if err != nil {
		log.Fatal(err)
	}
	var n int
	if err := db.QueryRow("SELECT length(rembed('local', 'The quick brown fox')) / 4").Scan(&n); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
}
