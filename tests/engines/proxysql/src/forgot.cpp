// usage: forgot FOLDER
// The host that forgot to register, or registered too late: the selfcheck must tell it. ProxySQL ran for months
// with an init pointer that was NULL behind a guard, and nothing said so.

#include <cstdio>

#include "check.h"
#include "rembed.h"

namespace {

sqlite3 *open(const std::string &path) {
    sqlite3 *db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path.c_str(), &db, flags, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
    return db;
}

void nothing_registered(const Host &host) {
    sqlite3 *db = open(host.db);
    EQUAL(rembed_lock(db), SQLITE_ERROR);
    EQUAL(std::string(sqlite3_errmsg(db)), "no such function: rembed_lock");
    EQUAL(rembed_selfcheck(db), SQLITE_ERROR);
    EQUAL(std::string(sqlite3_errmsg(db)), "no such function: rembed_version");
    EQUAL(sqlite3_errcode(db), SQLITE_ERROR);
    EQUAL(sqlite3_close(db), SQLITE_OK);
}

void registered_too_late(const Host &host) {
    sqlite3 *early = open(host.db);
    sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);
    sqlite3 *late = open(host.db);
    EQUAL(rembed_selfcheck(early), SQLITE_ERROR);
    EQUAL(rembed_selfcheck(late), SQLITE_OK);
    sqlite3_cancel_auto_extension((void (*)(void))sqlite3_rembed_init);
    sqlite3 *after = open(host.db);
    EQUAL(rembed_selfcheck(after), SQLITE_ERROR);
    EQUAL(rembed_selfcheck(late), SQLITE_OK);
    for (sqlite3 *db : {early, late, after}) EQUAL(sqlite3_close(db), SQLITE_OK);
}

// What a file of the user's may define does not pass for the extension.
void another_function_is_not_it(const Host &host) {
    sqlite3 *db = open(host.db);
    const auto null = [](sqlite3_context *context, int, sqlite3_value **) { sqlite3_result_null(context); };
    sqlite3_create_function(db, "rembed_version", 0, SQLITE_UTF8, nullptr, null, nullptr, nullptr);
    EQUAL(rembed_selfcheck(db), SQLITE_ERROR);
    EQUAL(sqlite3_close(db), SQLITE_OK);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    const std::string path = std::string(argv[2]) + "/forgot.db";
    std::remove(path.c_str());
    const Host host{Fake(""), path, argv[2], ""};
    return run_cases(std::string(argv[1]) + "/forgot",
                     {{"the selfcheck tells a host that forgot to register", nothing_registered},
                      {"connections opened before the registration do not pass", registered_too_late},
                      {"a function that is not ours does not pass", another_function_is_not_it}},
                     host);
}
