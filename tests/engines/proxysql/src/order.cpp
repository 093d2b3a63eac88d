// usage: order NAME
// Where to register: sqlite3_auto_extension() initializes SQLite, and a sqlite3_config() after that fails. ProxySQL
// asserts that its sqlite3_config() succeeds, and so aborts when the registration comes first.

#include <cstdio>

#include "check.h"
#include "rembed.h"
#include "sqlite3.h"

namespace {

void configuring_after_registering_fails(const Host &) {
    EQUAL(sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init), SQLITE_OK);
    EQUAL(sqlite3_config(SQLITE_CONFIG_URI, 1), SQLITE_MISUSE);
    sqlite3_shutdown();
}

void registering_after_configuring_works(const Host &) {
    EQUAL(sqlite3_config(SQLITE_CONFIG_URI, 1), SQLITE_OK);
    EQUAL(sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init), SQLITE_OK);
    sqlite3 *db = nullptr;
    EQUAL(sqlite3_open(":memory:", &db), SQLITE_OK);
    EQUAL(rembed_selfcheck(db), SQLITE_OK);
    EQUAL(sqlite3_close(db), SQLITE_OK);
    sqlite3_shutdown();
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    const Host host{Fake(""), "", "", ""};
    return run_cases(std::string(argv[1]) + "/order",
                     {{"sqlite3_config() fails after the registration", configuring_after_registering_fails},
                      {"registered after it, every connection has the functions", registering_after_configuring_works}},
                     host);
}
