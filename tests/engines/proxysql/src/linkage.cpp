// Which SQLite runs, and that both extensions are in it.

#include "check.h"
#include "rembed.h"
#include "session.h"

namespace {

// A second SQLite in the archive would show here: the linker may prefer its functions to the host's.
void the_sqlite_is_the_hosts(const Host &host) {
    EQUAL(std::string(sqlite3_libversion()), SQLITE_VERSION);
    EQUAL(std::string(sqlite3_sourceid()), SQLITE_SOURCE_ID);
    EQUAL(sqlite3_libversion_number(), SQLITE_VERSION_NUMBER);
    Session session(host.db);
    EQUAL(session.value("SELECT sqlite_version()"), SQLITE_VERSION);
    EQUAL(session.value("SELECT sqlite_source_id()"), SQLITE_SOURCE_ID);
    CONTAINS(session.value("SELECT rembed_debug()"), "SQLite " SQLITE_VERSION);
#ifdef PROXYSQL_FLAGS
    for (const char *flag : {"ENABLE_MEMORY_MANAGEMENT", "ENABLE_FTS5", "ENABLE_MATH_FUNCTIONS"}) {
        REQUIRE(sqlite3_compileoption_used(flag) == 1);
    }
    EQUAL(std::string(SQLITE_VERSION), "3.43.2");
#endif
    REQUIRE(sqlite3_threadsafe() == 1);
}

void both_extensions_answer(const Host &host) {
    Session session(host.db);
    EQUAL(session.value("SELECT substr(rembed_version(), 1, 1)"), "v");
    EQUAL(session.value("SELECT substr(vec_version(), 1, 1)"), "v");
    CONTAINS(session.value("SELECT rembed_debug()"), "Formats: ");
}

void selfcheck_passes(const Host &host) {
    Session session(host.db);
    EQUAL(session.with<int>(rembed_selfcheck), SQLITE_OK);
    EQUAL(session.with<int>([](sqlite3 *db) {
        rembed_selfcheck(db);
        return sqlite3_next_stmt(db, nullptr) == nullptr ? 0 : 1;
    }), 0);
    EQUAL(rembed_selfcheck(nullptr), SQLITE_MISUSE);
}

// Every session of a server is checked at most once, so the check may cost a little, but no more.
void selfcheck_needs_no_write_lock(const Host &host) {
    Session writer(host.db), session(host.db);
    writer.run("BEGIN IMMEDIATE");
    EQUAL(session.with<int>(rembed_selfcheck), SQLITE_OK);
    writer.run("COMMIT");
}

// As SQLite built with SQLITE_OMIT_LOAD_EXTENSION would call it.
void no_table_of_routines_is_an_error(const Host &host) {
    Session session(host.db);
    const int rc = session.with<int>([](sqlite3 *db) {
        char *error = nullptr;
        const int first = sqlite3_rembed_init(db, &error, nullptr);
        sqlite3_free(error);
        const int second = sqlite3_rembed_init(db, nullptr, nullptr);
        const int third = sqlite3_rembed_init(nullptr, nullptr, nullptr);
        return first == second && second == third ? first : -1;
    });
    EQUAL(rc, SQLITE_ERROR);
    EQUAL(session.with<int>(rembed_selfcheck), SQLITE_OK);
}

}  // namespace

std::vector<Case> linkage_cases() {
    return {
        {"the SQLite that runs is the host's", the_sqlite_is_the_hosts},
        {"both extensions answer", both_extensions_answer},
        {"the selfcheck passes, and leaves nothing open", selfcheck_passes},
        {"the selfcheck passes while another session writes", selfcheck_needs_no_write_lock},
        {"no table of routines is an error, not a crash", no_table_of_routines_is_an_error},
    };
}
