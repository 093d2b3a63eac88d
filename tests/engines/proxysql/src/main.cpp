// usage: host WHERE FAKE-URL FOLDER LOADABLE GROUP…
// The host: registers sqlite-vec and rembed as ProxySQL does, and runs the named groups of cases.

#include <cstdio>
#include <map>

#include "check.h"
#include "rembed.h"
#include "session.h"
#include "sqlite-vec.h"

int main(int argc, char **argv) {
    if (argc < 6) {
        std::cerr << "usage: host WHERE FAKE-URL FOLDER LOADABLE GROUP...\n";
        return 2;
    }
    const std::string folder = argv[3];
    const Host host{Fake(argv[2]), folder + "/server.db", folder, argv[4]};
    for (const char *suffix : {"", "-wal", "-shm"}) std::remove((host.db + suffix).c_str());

    sqlite3_auto_extension((void (*)(void))sqlite3_vec_init);
    sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);

    const std::map<std::string, std::vector<Case>> groups = {
        {"linkage", linkage_cases()}, {"pipeline", pipeline_cases()}, {"scopes", scope_cases()},
        {"errors", error_cases()},    {"load", load_cases()},         {"lifetime", lifetime_cases()},
        {"config", config_cases()},   {"readme", readme_cases()},     {"client", client_cases()},
        {"lock", lock_cases()},       {"locked", locked_process_cases()},
        {"strangers", stranger_cases()}, {"index", index_cases()},
    };
    int failed = 0;
    {
        // The server's own connection, which outlives every session.
        const Session own(host.db);
        for (int i = 5; i < argc; ++i) {
            failed += run_cases(std::string(argv[1]) + "/" + argv[i], groups.at(argv[i]), host);
        }
    }
    sqlite3_reset_auto_extension();
    sqlite3_shutdown();
    return failed == 0 ? 0 : 1;
}
