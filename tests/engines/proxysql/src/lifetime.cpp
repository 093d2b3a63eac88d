// What a session leaves behind when it ends: nothing. And the same library loaded beside the linked one.

#include <malloc.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "check.h"
#include "rembed.h"
#include "session.h"

namespace {

constexpr int WARM_UP = 500;
constexpr int SESSIONS = 2000;
constexpr long SLACK_KIB = 1024;
constexpr long CONNECTIONS = 64;

long resident_kib() {
    malloc_trim(0);
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

long entries(const char *folder) {
    long n = 0;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        static_cast<void>(entry);
        ++n;
    }
    return n;
}

void sessions_leave_no_memory(const Host &host) {
    const std::string url = quote(host.fake.scenario("lifetime", R"({"log":false})"));
    const auto visit = [&] {
        Session s(host.db);
        EQUAL(s.with<int>(rembed_selfcheck), SQLITE_OK);
        s.value("SELECT rembed_register('own', 'format', 'ollama', 'key', 'sk-0123456789', 'cache', 'off', 'url', " +
                url + ")");
        EQUAL(s.value("SELECT length(rembed('own', 'hello'))"), "3072");
        s.ask("SELECT rembed('nobody', 'hello')");
    };
    for (int i = 0; i < WARM_UP; ++i) visit();
    const long before = resident_kib(), files = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    for (int i = WARM_UP; i < SESSIONS; ++i) visit();
    const long grown = resident_kib() - before;
    std::cout << "   " << SESSIONS << " sessions: " << before << " KiB after " << WARM_UP << ", "
              << (grown < 0 ? "" : "+") << grown << " KiB at the end" << std::endl;
    REQUIRE(grown < SLACK_KIB);
    EQUAL(entries("/proc/self/fd"), files);
    EQUAL(entries("/proc/self/task"), threads);
    // The connections are the process's: those that are open, not one a session.
    REQUIRE(host.fake.count("lifetime", "connections") <= CONNECTIONS);
}

int load(sqlite3 *db, const std::string &path, std::string &error) {
    char *text = nullptr;
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
    const int rc = sqlite3_load_extension(db, path.c_str(), nullptr, &text);
    if (text) error = text;
    sqlite3_free(text);
    return rc;
}

// A user's script that says .load or load_extension() must not empty the session's list of clients.
void loading_the_library_too_keeps_the_clients(const Host &host) {
    Session s(host.db), next(host.db);
    const std::string url = quote(host.fake.scenario("loaded"));
    s.value("SELECT rembed_register('own', 'format', 'ollama', 'url', " + url + ")");
    s.value("SELECT rembed_register('all', 'format', 'ollama', 'scope', 'process', 'url', " + url + ")");
    std::string error;
    for (int i = 0; i < 2; ++i) {
        const int rc = s.with<int>([&](sqlite3 *db) { return load(db, host.loadable, error); });
        if (rc != SQLITE_OK) throw std::runtime_error("loading: " + error);
        EQUAL(s.value("SELECT length(rembed('own', 'hello'))"), "3072");
        EQUAL(s.value("SELECT length(rembed('all', 'hello'))"), "3072");
        EQUAL(s.value("SELECT count(*) FROM temp.rembed_clients"), "2");
    }
    // Neither here nor in another session: the linked one still answers there.
    EQUAL(next.value("SELECT length(rembed('all', 'hello'))"), "3072");
    EQUAL(next.value("SELECT rembed_unregister('all')"), "1");
    EQUAL(s.value("SELECT count(*) FROM temp.rembed_clients"), "1");
}

// Without the linked one: SQLite calls the entry point of the same copy again, on the same connection.
void loading_the_library_twice_keeps_the_clients(const Host &host) {
    REQUIRE(sqlite3_cancel_auto_extension((void (*)(void))sqlite3_rembed_init) == 1);
    Session s(host.db);
    sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);
    EQUAL(s.with<int>(rembed_selfcheck), SQLITE_ERROR);
    std::string error;
    EQUAL(s.with<int>([&](sqlite3 *db) { return load(db, host.loadable, error); }), SQLITE_OK);
    s.value("SELECT rembed_register('own', 'format', 'ollama', 'url', " + quote(host.fake.scenario("twice")) + ")");
    for (int i = 0; i < 2; ++i) {
        EQUAL(s.with<int>([&](sqlite3 *db) { return load(db, host.loadable, error); }), SQLITE_OK);
        EQUAL(s.value("SELECT length(rembed('own', 'hello'))"), "3072");
    }
}

void loading_and_closing_many_times(const Host &host) {
    for (int i = 0; i < 50; ++i) {
        Session s(host.db);
        std::string error;
        EQUAL(s.with<int>([&](sqlite3 *db) { return load(db, host.loadable, error); }), SQLITE_OK);
        EQUAL(s.with<int>(rembed_selfcheck), SQLITE_OK);
    }
}

}  // namespace

std::vector<Case> lifetime_cases() {
    return {
        {"2000 sessions leave no memory, file or thread", sessions_leave_no_memory},
        {"loading the library too keeps the clients", loading_the_library_too_keeps_the_clients},
        {"loading the library twice keeps the clients", loading_the_library_twice_keeps_the_clients},
        {"loading the library in session after session", loading_and_closing_many_times},
    };
}
