// The semantic index in a session: a sync commits by itself, so it wants autocommit=1.

#include "check.h"
#include "session.h"

namespace {

void make_index(const Host &host, Session &s) {
    s.value("SELECT rembed_register('indexing', 'format', 'ollama', 'url', " + quote(host.fake.scenario("indexing")) + ")");
    s.run("DROP TABLE IF EXISTS indexed_index");
    s.run("DROP TABLE IF EXISTS indexed");
    s.run("CREATE TABLE indexed(id INTEGER PRIMARY KEY, body TEXT)");
    s.run("INSERT INTO indexed(body) VALUES ('the home team won'), ('money comes back in a week')");
    s.run(
        "CREATE VIRTUAL TABLE indexed_index USING rembed_index(client = 'indexing', content = 'indexed', columns = 'body')");
}

const char *const kSync = "SELECT json_extract(rembed_sync('indexed_index'), '$.embedded')";
const char *const kPending = "SELECT pending FROM rembed_index_status('indexed_index')";

// The server begins a transaction before the SELECT, and drops its error.
void without_autocommit_a_sync_says_what_to_do(const Host &host) {
    Session s(host.db), other(host.db);
    make_index(host, s);
    for (const char *begin : {"BEGIN", "BEGIN IMMEDIATE"}) {
        s.run(begin);
        const Reply refused = s.ask(kSync);
        REQUIRE(refused.rows.empty());
        EQUAL(refused.rc, SQLITE_ERROR);
        EQUAL(refused.locked, 0);
        CONTAINS(s.value("SELECT rembed_last_error()"),
                 "a transaction is open: COMMIT first, or call it on a connection in autocommit mode");
        EQUAL(s.value(kPending), "2");
        s.run("COMMIT");
    }
    EQUAL(host.fake.count("indexing", "texts"), 0);
    EQUAL(s.value(kSync), "2");
    EQUAL(s.value(kPending), "0");
}

// What a session without autocommit writes, a sync of another session takes up once it is committed; the search is either's.
void another_session_syncs_and_both_search(const Host &host) {
    Session s(host.db), other(host.db);
    make_index(host, s);
    other.value("SELECT rembed_register('indexing', 'format', 'ollama', 'url', " +
                quote(host.fake.scenario("indexing")) + ")");
    s.run("BEGIN IMMEDIATE");
    s.run("INSERT INTO indexed(body) VALUES ('a third text')");
    s.run("COMMIT");
    EQUAL(other.value(kSync), "3");
    s.run("BEGIN");
    EQUAL(s.value("SELECT rowid FROM indexed_index WHERE query = 'third' AND mode = 'words'"), "3");
    EQUAL(s.value("SELECT count(*) FROM indexed_index('money')"), "3");
    s.run("COMMIT");
}

}  // namespace

std::vector<Case> index_cases() {
    return {
        {"autocommit=0: a sync is refused, and says to commit", without_autocommit_a_sync_says_what_to_do},
        {"another session syncs, and both search", another_session_syncs_and_both_search},
    };
}
